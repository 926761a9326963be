//! The control plane: releases, plans, runs and the life of an environment

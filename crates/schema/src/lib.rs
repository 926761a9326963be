//! Structural schemas as Kubernetes defines them: generate, validate, prune, default

//! Drivers: how each kind of module is previewed, applied, observed and destroyed

//! The client's half of the API: configuration, connection, errors, finding things, watching.
//!
//! **What it refuses.** Any way to authenticate but a token from the kubeconfig, any certificate authority but the
//! one in it, redirects (they would carry the token elsewhere), and answers larger than [`connection::LARGEST_ANSWER`].

pub(crate) mod connection;
pub(crate) mod error;
pub(crate) mod kinds;
pub(crate) mod kubeconfig;
pub(crate) mod lines;
pub(crate) mod target;
pub(crate) mod watch;

pub(crate) use connection::{Client, install_cryptography};
pub(crate) use error::{ClientError, Status};

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

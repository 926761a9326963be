//! The Kubernetes-convention API over the store

//! Score and other documents to requests, and nothing else.
//!
//! A front end turns its own format into requests: which nodes are wanted, with which params, and which texts in
//! them wait for outputs of other nodes. It knows nothing of modules, environments or plans, reads no file and no
//! clock, and never panics on a document. One folder each; adding one touches no other crate.

pub mod score;

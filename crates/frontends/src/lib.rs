//! Score and other documents to requests, and nothing else

//! Resolve, assemble and explain: pure functions from documents and rules to a plan

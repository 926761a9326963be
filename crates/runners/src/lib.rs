//! Where a driver's work executes, and the shim that outlives the server

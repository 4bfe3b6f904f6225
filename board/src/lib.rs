//! Parts, board files, thermal and power decisions. No network, no tokio.
#![forbid(unsafe_code)]

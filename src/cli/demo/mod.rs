//! The demo: a whole emulated machine, and a pool inside the program for it to mine at.

pub mod pool;

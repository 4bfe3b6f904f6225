//! The chain driver: frames, registers, bring-up as data, the chain task.

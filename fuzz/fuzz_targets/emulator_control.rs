//! Any line is answered by one of the emulator's control socket.
#![no_main]

use cgminer_emulator::clock::Clock;
use cgminer_emulator::control::answer;
use cgminer_emulator::machine::{Machine, MachineSettings};
use libfuzzer_sys::fuzz_target;
use std::cell::RefCell;
use std::time::Duration;

thread_local! {
    static MACHINE: RefCell<(Machine, Clock)> = RefCell::new({
        let clock = Clock::manual();
        let settings = MachineSettings::l7().expect("the compiled-in machine");
        (Machine::new(settings, 1, clock.clone()), clock)
    });
}

fuzz_target!(|line: &str| {
    MACHINE.with_borrow_mut(|(machine, clock)| {
        let control = machine.control();
        let answered = answer(&control, line);
        assert!(!answered.is_empty());
        // What it set off has to be lived through, too.
        clock.advance(Duration::from_millis(20));
        machine.step();
        control.clear_all();
    });
});

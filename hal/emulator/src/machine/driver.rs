//! What makes a machine live: moving bytes between lines and chains, and time on.

use super::{Load, Machine, Wired, World};
use crate::chain::Chain;
use cgminer_hal::units::Baud;
use std::time::{Duration, Instant};

/// Longest time between two looks at the lines.
const TICK: Duration = Duration::from_millis(20);
/// Longest time between two looks while chips hash, which is how late a nonce may come.
const HASHING_TICK: Duration = Duration::from_millis(2);
/// Search that is behind by more than this is given up under a real clock.
const LAG: Duration = Duration::from_millis(50);

impl Machine {
    /// Lives on, for ever, under tokio's clock. Under a paused one everything happens in order of virtual time, and
    /// the same seed and the same host give the same bytes.
    pub async fn run(mut self) {
        loop {
            let next = self.step();
            self.sleep_until(next).await;
        }
    }

    /// Lives until the clock's present; gives when it next has something to do.
    pub fn step(&mut self) -> Duration {
        let now = self.clock.now();
        let mut next = now + TICK;
        for (index, wired) in self.chains.iter_mut().enumerate() {
            let (mhz, load) = load_of(&wired.chain, wired.nominal_hz);
            let (faults, powered, gone, celsius) = self.world.with(|world| {
                let pretended = world.pretended.get(index).copied().flatten();
                let pretended = pretended.filter(|_| wired.chain.is_alive());
                world.set_load(index, pretended.unwrap_or(load));
                (
                    world.chain_faults(index, mhz),
                    world.chips_have_power(index),
                    world.board_is_gone(index),
                    world.chip_celsius(index),
                )
            });
            wired.chain.set_faults(faults);
            wired.chain.set_power(powered);
            wired.chain.set_temperature(celsius);
            if let Some((line, active_is_high)) = &wired.presence {
                line.set(*active_is_high != gone);
            }
            wired.exchange(now);
            let due = wired.chain.hashes_due();
            self.world.with(|world| world.set_hashes_due(index, due));
            next = next.min(wired.due(now));
        }
        next
    }

    pub(super) async fn run_with_real_clock(&mut self) {
        loop {
            let late = self.clock.now().saturating_sub(LAG);
            for wired in &mut self.chains {
                wired.chain.skip_search_to(late);
            }
            let next = self.step();
            self.sleep_until(next).await;
        }
    }

    /// Sets the pace so that hashing takes the described share of a core, from a short measurement.
    pub(super) fn pace_by_core_share(&mut self) {
        let per_second = hashes_per_core_second() * self.settings.search.core_share;
        let pace = per_second / self.chains.len().max(1) as f64;
        for wired in &mut self.chains {
            wired.chain.set_pace(pace);
        }
    }

    async fn sleep_until(&self, next: Duration) {
        let wait = next.saturating_sub(self.clock.now());
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = self.host_acted.notified() => {}
        }
    }
}

impl Wired {
    /// Bytes to and from the host, as far as the line has carried them by now.
    fn exchange(&mut self, now: Duration) {
        let (line, active_is_high) = &self.reset;
        self.chain.set_reset(line.level() == *active_is_high);
        self.chain
            .set_host_baud(self.uart.host_baud().map(|Baud(baud)| baud));
        let mut buffer = [0; 512];
        loop {
            let room = self.chain.room().min(buffer.len());
            let Some(space) = buffer.get_mut(..room).filter(|space| !space.is_empty()) else {
                break;
            };
            let count = self.uart.try_read(space);
            if count == 0 {
                break;
            }
            self.chain.receive(space.get(..count).unwrap_or(&[]), now);
        }
        self.chain.advance(now);
        let mut sent = Vec::new();
        self.chain.transmit(now, &mut sent);
        self.uart.try_write(&sent);
        self.uart.set_on_the_wire(self.chain.bytes_on_the_wire());
    }

    fn due(&self, now: Duration) -> Duration {
        let hashing = if self.chain.is_hashing() {
            now + HASHING_TICK
        } else {
            now + TICK
        };
        self.chain
            .next_event()
            .map_or(hashing, |event| event.min(hashing))
    }
}

impl World {
    fn set_load(&mut self, chain: usize, load: Load) {
        if let Some(slot) = self.loads.get_mut(chain) {
            *slot = load;
        }
    }

    fn set_hashes_due(&mut self, chain: usize, hashes: f64) {
        if let Some(slot) = self.hashes_due.get_mut(chain) {
            *slot = hashes;
        }
    }

    fn chip_celsius(&self, chain: usize) -> f32 {
        self.boards.get(chain).map_or(0.0, |board| board.chip_c)
    }
}

/// Mean clock of the chips that run, in megahertz, and the load that the chain is.
fn load_of(chain: &Chain, nominal_hz: f64) -> (f32, Load) {
    let (clocked, hashing) = chain.clocks_hz();
    let mhz = clocked / 1e6 / chain.chips().len().max(1) as f64;
    let share = |hertz: f64| (hertz / nominal_hz) as f32;
    let load = Load {
        clocked: share(clocked),
        hashing: share(hashing),
    };
    (mhz as f32, load)
}

/// How many hashes one core of this processor does in a second, from a few milliseconds of them.
fn hashes_per_core_second() -> f64 {
    const TRIED: u32 = 20_000;
    let start = Instant::now();
    let mut state = [0; 8];
    for nonce in 0..TRIED {
        let mut block = [0; 64];
        if let Some((head, _)) = block.split_first_chunk_mut::<4>() {
            *head = nonce.to_be_bytes();
        }
        let digest = crate::chain::job::second_hash_head(state, block);
        state = [digest as u32; 8];
    }
    std::hint::black_box(state);
    f64::from(TRIED) / start.elapsed().as_secs_f64().max(1e-6)
}

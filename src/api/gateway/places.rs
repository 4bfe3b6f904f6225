//! Who has a place at a door, and who gives it up when there is none left.
//!
//! ```text
//! unasked ──first byte──► unfinished ──whole request──► busy
//!    ▲                                                   │
//!    └──────────────────────answered─────────────────────┘
//! ```
//!
//! Whoever asks nothing, or does not come to an end with asking, holds a place only until somebody else wants one: the one that
//! has been so for longest goes. One that is being answered, or listens to the live stream, stays.

use crate::api::access::household;
use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;
use tokio::time::Instant;

/// All places of one door.
pub struct Places {
    most: usize,
    /// How many of them one address may have.
    most_of_peer: usize,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    next: u64,
    seats: HashMap<u64, Seat>,
    /// Those that wait, by since when.
    waiting: BTreeSet<(Instant, u64)>,
    /// Seats of each address.
    of_peers: HashMap<IpAddr, usize>,
}

struct Seat {
    peer: Option<IpAddr>,
    /// Since when it does nothing that would be lost; none: it does.
    waits_since: Option<Instant>,
    leave: Arc<Notify>,
}

/// A taken place, free again when dropped.
pub struct Place {
    places: Arc<Places>,
    number: u64,
    leave: Arc<Notify>,
}

impl Places {
    /// So many places, of which one address may have half.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            most_of_peer: most.div_ceil(2),
            table: Mutex::default(),
        })
    }

    /// Takes a place for a client that has said nothing yet; `peer` is none for local tools. None: all are taken by clients
    /// that are being answered.
    pub fn take(self: &Arc<Self>, peer: Option<IpAddr>, now: Instant) -> Option<Place> {
        let peer = peer.map(household);
        let mut table = self.table();
        let of_peer = peer.and_then(|peer| table.of_peers.get(&peer).copied());
        if of_peer.is_some_and(|count| count >= self.most_of_peer) {
            table.free_one(|seat| seat.peer == peer)?;
        }
        if table.seats.len() >= self.most {
            table.free_one(|_| true)?;
        }
        let number = table.next;
        table.next += 1;
        let leave = Arc::new(Notify::new());
        let seat = Seat {
            peer,
            waits_since: Some(now),
            leave: Arc::clone(&leave),
        };
        table.seats.insert(number, seat);
        table.waiting.insert((now, number));
        if let Some(peer) = peer {
            *table.of_peers.entry(peer).or_default() += 1;
        }
        drop(table);
        Some(Place {
            places: Arc::clone(self),
            number,
            leave,
        })
    }

    /// Sends the one away that has waited for longest, as when descriptors run out. Whether there was one.
    pub fn free_one(&self) -> bool {
        self.table().free_one(|_| true).is_some()
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn free_one(&mut self, may: impl Fn(&Seat) -> bool) -> Option<()> {
        let mut oldest_first = self.waiting.iter().map(|(_, number)| *number);
        let number = oldest_first.find(|number| self.seats.get(number).is_some_and(&may))?;
        self.remove(number)?.leave.notify_one();
        Some(())
    }

    fn remove(&mut self, number: u64) -> Option<Seat> {
        let seat = self.seats.remove(&number)?;
        if let Some(since) = seat.waits_since {
            self.waiting.remove(&(since, number));
        }
        if let Some(Entry::Occupied(mut count)) = seat.peer.map(|peer| self.of_peers.entry(peer)) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
        Some(seat)
    }

    fn set(&mut self, number: u64, waits_since: Option<Instant>) {
        let Some(seat) = self.seats.get_mut(&number) else {
            return;
        };
        let before = std::mem::replace(&mut seat.waits_since, waits_since);
        if let Some(since) = before {
            self.waiting.remove(&(since, number));
        }
        if let Some(since) = waits_since {
            self.waiting.insert((since, number));
        }
    }
}

impl Place {
    /// Nothing would be lost from now on if this client had to go.
    pub fn waits(&self, now: Instant) {
        self.set(Some(now));
    }

    /// This client is being answered.
    pub fn is_busy(&self) {
        self.set(None);
    }

    /// Resolves when the place is wanted by somebody else.
    pub async fn is_wanted(&self) {
        self.leave.notified().await;
    }

    fn set(&self, waits_since: Option<Instant>) {
        self.places.table().set(self.number, waits_since);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.table().remove(self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    #[expect(clippy::unnecessary_wraps, reason = "a client that has one")]
    fn peer(number: u8) -> Option<IpAddr> {
        Some(IpAddr::from([192, 0, 2, number]))
    }

    async fn left(place: &Place) -> bool {
        let at_once = tokio::time::timeout(Duration::ZERO, place.is_wanted());
        at_once.await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn the_one_that_has_waited_for_longest_makes_room_and_nobody_who_is_answered() {
        let places = Places::new(3);
        let start = Instant::now();
        let second = |count| start + Duration::from_secs(count);
        let busy = places.take(peer(1), second(0)).unwrap();
        busy.is_busy();
        let old = places.take(peer(2), second(1)).unwrap();
        let young = places.take(peer(3), second(2)).unwrap();
        let next = places.take(peer(4), second(3)).unwrap();
        assert!(left(&old).await && !left(&young).await && !left(&busy).await);
        drop(old);
        young.is_busy();
        next.is_busy();
        assert!(places.take(peer(5), second(4)).is_none());
        next.waits(second(5));
        assert!(places.take(peer(5), second(6)).is_some());
        assert!(left(&next).await);
    }

    #[tokio::test(start_paused = true)]
    async fn one_address_has_half_of_the_places_and_takes_more_only_from_itself() {
        let places = Places::new(4);
        let now = Instant::now();
        let other = places.take(peer(9), now).unwrap();
        let mine: Vec<_> = (0..2).map(|_| places.take(peer(1), now).unwrap()).collect();
        let third = places.take(peer(1), now + Duration::from_secs(1)).unwrap();
        assert!(left(&mine[0]).await && !left(&mine[1]).await && !left(&other).await);
        mine[1].is_busy();
        third.is_busy();
        assert!(places.take(peer(1), now).is_none());
        assert!(places.take(peer(2), now).is_some());
        assert!(
            places.take(None, now).is_some(),
            "local tools are no address"
        );
    }

    proptest! {
        #[test]
        fn never_more_places_than_there_are(steps in proptest::collection::vec((0..6_u8, 0..4_u8), 0..200)) {
            let places = Places::new(5);
            let mut held = Vec::new();
            let now = Instant::now();
            for (number, (kind, who)) in steps.into_iter().enumerate() {
                let at = now + Duration::from_secs(number as u64);
                match kind {
                    0..3 => held.extend(places.take(peer(who), at)),
                    3 => drop((!held.is_empty()).then(|| held.swap_remove(usize::from(who) % held.len()))),
                    4 => held.iter().step_by(2).for_each(Place::is_busy),
                    _ => held.iter().for_each(|place| place.waits(at)),
                }
                let table = places.table();
                prop_assert!(table.seats.len() <= 5);
                let waiting = table.seats.values().filter(|seat| seat.waits_since.is_some());
                prop_assert_eq!(table.waiting.len(), waiting.count());
                for who in 0..4 {
                    let mine = table.seats.values().filter(|seat| seat.peer == peer(who));
                    prop_assert!(mine.count() <= 3);
                }
            }
            drop(held);
            let table = places.table();
            prop_assert!(table.seats.is_empty() && table.waiting.is_empty() && table.of_peers.is_empty());
        }
    }
}

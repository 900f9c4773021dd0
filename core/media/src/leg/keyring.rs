//! SRTP both ways, under all keys that a leg has used so far: what a key has counted is kept with it. Which key comes
//! when is the negotiation's.

use std::collections::VecDeque;

use crate::negotiate::Keys;
use crate::srtp::{Key, Receiver, Sender};

/// Keys of one direction that are remembered.
const MOST: usize = 8;

/// Senders and receivers, those in use last.
#[derive(Debug, Default)]
pub(super) struct Keyring {
    senders: VecDeque<(Key, Sender)>,
    receivers: VecDeque<(Key, Receiver)>,
    /// Whether packets are protected at all.
    locked: bool,
}

impl Keyring {
    /// From now on these keys are used, or none. A key that comes back goes on with its counters: beginning anew would
    /// encrypt other packets with the same key stream, and open those that were opened before (RFC 3711, 9.1, 3.3.2).
    /// `None` only if a cipher library refuses keys of the right length.
    pub(super) fn turn(&mut self, keys: Option<&Keys>) -> Option<()> {
        self.locked = keys.is_some();
        let Some(keys) = keys else { return Some(()) };
        take_up(&mut self.senders, &keys.send, Sender::new)?;
        take_up(&mut self.receivers, &keys.receive, Receiver::new)
    }

    /// Protects what leaves; `None` if that is sent in the clear.
    pub(super) fn sender(&mut self) -> Option<&mut Sender> {
        self.senders.back_mut().filter(|_| self.locked).map(|(_, sender)| sender)
    }

    /// Opens what comes; `None` if that comes in the clear.
    pub(super) fn receiver(&mut self) -> Option<&mut Receiver> {
        self.receivers.back_mut().filter(|_| self.locked).map(|(_, receiver)| receiver)
    }
}

fn take_up<T>(ring: &mut VecDeque<(Key, T)>, key: &Key, make: fn(&Key) -> Option<T>) -> Option<()> {
    let known = ring.iter().position(|(known, _)| known == key).and_then(|at| ring.remove(at));
    let entry = match known {
        Some(known) => known,
        None => (key.clone(), make(key)?),
    };
    if ring.len() == MOST {
        ring.pop_front();
    }
    ring.push_back(entry);
    Some(())
}

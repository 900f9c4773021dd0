//! Binding: what is my address, seen from here. Answered without proof, and never much longer than the question.

use carillon_wire::stun::{Class, kind};

use crate::network::plain;
use crate::relay::{Asked, Relay};

impl Relay {
    pub(crate) fn binding(&mut self, asked: &Asked<'_>) {
        let answer = match self.unknown(&asked.message) {
            Some(refusal) => self.refusal(asked, &refusal),
            None => {
                self.counts.success(asked.method_name());
                asked.answer(Class::Success).xor_address(kind::XOR_MAPPED_ADDRESS, plain(asked.flow.remote))
            }
        };
        self.answer(asked, None, answer);
    }
}

//! What people do (RFC 4480, 3.2), and how much it keeps them from talking: the one table by which devices are weighed.

/// An activity, as it was published.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Activity {
    engagement: Engagement,
    /// The element.
    pub(super) xml: String,
}

/// How much somebody is taken by an activity; the greater one is what watchers see.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Engagement {
    /// Not where this device is.
    Away,
    /// There, or nothing is said.
    Present,
    /// There, and not to be disturbed.
    Engaged,
}

use Engagement::{Away, Engaged, Present};

/// By their names in RPID.
const ACTIVITIES: [(&str, Engagement); 26] = [
    ("appointment", Engaged),
    ("away", Away),
    ("breakfast", Away),
    ("busy", Engaged),
    ("dinner", Away),
    ("holiday", Away),
    ("in-transit", Away),
    ("looking-for-work", Present),
    ("meal", Away),
    ("meeting", Engaged),
    ("on-the-phone", Engaged),
    ("other", Present),
    ("performance", Engaged),
    ("permanent-absence", Away),
    ("playing", Present),
    ("presentation", Engaged),
    ("shopping", Away),
    ("sleeping", Away),
    ("spectator", Engaged),
    ("steering", Engaged),
    ("travel", Away),
    ("tv", Present),
    ("unknown", Present),
    ("vacation", Away),
    ("working", Present),
    ("worship", Engaged),
];

impl Activity {
    /// One of this name; whoever does something unknown is there.
    pub(super) fn new(name: &str, xml: String) -> Activity {
        let known = ACTIVITIES.iter().find(|(known, _)| *known == name);
        Activity { engagement: known.map_or(Present, |(_, engagement)| *engagement), xml }
    }

    pub(super) fn engagement(&self) -> Engagement {
        self.engagement
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_activity_of_the_rfc_is_there_once() {
        assert!(ACTIVITIES.windows(2).all(|pair| pair[0].0 < pair[1].0));
        let of = |name| Activity::new(name, String::new()).engagement();
        assert_eq!(["on-the-phone", "tv", "vacation", "knitting"].map(of), [Engaged, Present, Away, Present]);
        assert!(Engaged > Present && Present > Away);
    }
}

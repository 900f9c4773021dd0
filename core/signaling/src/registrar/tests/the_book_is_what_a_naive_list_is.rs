//! The registrar against the simplest thing that could be right.

use proptest::prelude::*;

use super::*;

/// Bindings as the simplest thing that could be right: a list that is searched.
#[derive(Default)]
struct Naive {
    bindings: Vec<(String, u64, Duration)>,
}

#[derive(Clone, Debug)]
enum Step {
    Register { contact: u8, expires: u8, connection: u8 },
    Star,
    Close { connection: u8 },
    Wait { seconds: u16 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0u8..6, 0u8..4, 0u8..3).prop_map(|(contact, expires, connection)| Step::Register { contact, expires, connection }),
        1 => Just(Step::Star),
        1 => (0u8..3).prop_map(|connection| Step::Close { connection }),
        2 => (0u16..200).prop_map(|seconds| Step::Wait { seconds }),
    ]
}

impl Naive {
    fn step(&mut self, step: &Step, now: Duration) {
        match step {
            Step::Register { contact, expires, connection } => {
                let key = format!("sip:a@h{contact}");
                let known = self.bindings.iter().any(|(known, ..)| *known == key);
                let lasts = u64::from(*expires) * 100;
                if lasts > 0 && !known && self.bindings.len() == 3 {
                    return;
                }
                self.bindings.retain(|(known, ..)| *known != key);
                if lasts > 0 {
                    self.bindings.push((key, u64::from(*connection), now + Duration::from_secs(lasts)));
                }
            }
            Step::Star => self.bindings.clear(),
            Step::Close { connection } => self.bindings.retain(|(_, on, _)| *on != u64::from(*connection)),
            Step::Wait { .. } => self.bindings.retain(|(_, _, ends)| *ends > now),
        }
    }
}

proptest! {
    #[test]
    fn the_book_is_what_a_naive_list_is(steps in prop::collection::vec(step(), 0..60)) {
        let (mut world, mut naive, mut alice) = (World::new(), Naive::default(), Phone::new("alice@example.com"));
        let mut saved = std::collections::BTreeMap::new();
        for step in steps {
            match &step {
                Step::Register { contact, expires, connection } => {
                    let fields = format!("Contact: <sip:a@h{contact}>;expires={}\r\n", u64::from(*expires) * 100);
                    alice.register(&mut world, tls(u64::from(*connection)), &fields);
                }
                Step::Star => { alice.register(&mut world, tls(0), "Contact: *\r\nExpires: 0\r\n"); }
                Step::Close { connection } => world.registrar.closed(&tls(u64::from(*connection)), &mut world.out),
                Step::Wait { seconds } => world.pass(u64::from(*seconds)),
            }
            naive.step(&step, world.now);
            for output in world.out.drain(..) {
                match output {
                    Output::Save(Change::Bind(b)) => { saved.insert(b.key.clone(), b); }
                    Output::Save(Change::Unbind { key, .. }) => { prop_assert!(saved.remove(&key).is_some()); }
                    _ => {}
                }
            }
            let mut expected: Vec<String> = naive.bindings.iter().map(|(key, ..)| key.clone()).collect();
            expected.reverse();
            prop_assert_eq!(world.contacts("alice@example.com"), expected);
            prop_assert_eq!(world.registrar.poll_timeout(), naive.bindings.iter().map(|(_, _, ends)| *ends).min());
            prop_assert_eq!(world.registrar.counts(), (3, naive.bindings.len()));
            let mut stored: Vec<_> = world.stored("alice@example.com");
            stored.sort_by(|a, b| a.key.cmp(&b.key));
            prop_assert_eq!(stored, saved.values().map(|b| (**b).clone()).collect::<Vec<_>>());
        }
    }
}

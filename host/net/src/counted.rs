//! Things that are counted: from one row each follow the list of all, the names of metrics, and the place of each number.

/// Makes `Count` of rows, and of the name in front, with who may see it, what holds how often each thing happened.
macro_rules! counted {
    ($see:vis $counts:ident: $($(#[$doc:meta])+ $count:ident => $name:literal,)+) => {
        /// A thing that is counted.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        pub enum Count { $($(#[$doc])+ $count,)+ }

        impl Count {
            /// All of them, each at the place of its number.
            pub const ALL: [Count; [$($name),+].len()] = [$(Count::$count),+];

            /// For metrics: lower case, words joined by `_`.
            pub const fn name(self) -> &'static str {
                match self { $(Count::$count => $name,)+ }
            }
        }

        /// How often each thing happened.
        #[derive(Clone, PartialEq, Eq, Default, Debug)]
        $see struct $counts([u64; Count::ALL.len()]);

        impl $counts {
            /// How often it happened.
            $see fn of(&self, count: Count) -> u64 {
                self.0.get(count as usize).copied().unwrap_or_default()
            }

            /// Everything that is counted, in a fixed order.
            $see fn iter(&self) -> impl Iterator<Item = (Count, u64)> + '_ {
                Count::ALL.into_iter().map(|count| (count, self.of(count)))
            }

            pub(crate) fn add(&mut self, count: Count) {
                self.add_many(count, 1);
            }

            pub(crate) fn add_many(&mut self, count: Count, times: usize) {
                if let Some(number) = self.0.get_mut(count as usize) {
                    *number += times as u64;
                }
            }
        }
    };
}

pub(crate) use counted;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use crate::{forward, transports};

    #[test]
    fn every_count_has_a_name_of_its_own() {
        let forward: BTreeSet<_> = forward::Count::ALL.map(forward::Count::name).into();
        let transports: BTreeSet<_> = transports::Count::ALL.map(transports::Count::name).into();
        let both =
            [(forward.len(), forward::Count::ALL.len()), (transports.len(), transports::Count::ALL.len())];
        assert!(both.iter().all(|(names, all)| names == all), "{both:?}");
    }

    #[test]
    fn what_is_counted_is_counted_at_its_place() {
        let mut counts = forward::Counts::default();
        for (number, count) in (1..).zip(forward::Count::ALL) {
            counts.add_many(count, number);
            counts.add(count);
        }
        let all = forward::Count::ALL.len() as u64;
        assert!(counts.iter().map(|(_, number)| number).eq(2..2 + all), "{counts:?}");
    }
}

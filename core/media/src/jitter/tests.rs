//! The buffer by example, and against what must hold on any network.

use proptest::prelude::*;

use super::*;

fn packet(sequence: u16) -> Packet {
    Packet { sequence, timestamp: u32::from(sequence) * 160, payload_type: 0, payload: Some(vec![1]) }
}

fn event(sequence: u16) -> Packet {
    Packet { payload: None, ..packet(sequence) }
}

/// What a pop gave, as one letter, or the number of a packet.
fn pop(buffer: &mut Buffer) -> String {
    match buffer.pop() {
        Popped::Packet(packet) => packet.sequence.to_string(),
        Popped::Missing => "m".to_owned(),
        Popped::Starved => "s".to_owned(),
        Popped::Idle => "i".to_owned(),
    }
}

fn pops(buffer: &mut Buffer, count: usize) -> String {
    (0..count).map(|_| pop(buffer)).collect::<Vec<_>>().join(" ")
}

fn push(buffer: &mut Buffer, numbers: &[u16]) {
    for number in numbers {
        assert_eq!(buffer.push(packet(*number)), Pushed::Queued);
    }
}

fn filled(numbers: &[u16]) -> Buffer {
    let mut buffer = Buffer::new(8000);
    push(&mut buffer, numbers);
    buffer
}

#[test]
fn speech_begins_when_two_packets_wait() {
    let mut buffer = filled(&[10]);
    assert_eq!(pops(&mut buffer, 2), "i i");
    buffer.push(packet(11));
    assert_eq!(buffer.delay_ms(), 40);
    assert_eq!(pops(&mut buffer, 3), "10 11 s");
}

#[test]
fn order_is_restored_and_what_comes_twice_is_taken_once() {
    let mut buffer = filled(&[12, 10, 11]);
    assert_eq!(buffer.push(packet(11)), Pushed::Duplicate);
    assert_eq!(pops(&mut buffer, 3), "10 11 12");
    assert_eq!(buffer.counts().duplicated, 1);
}

#[test]
fn a_hole_is_given_up_when_later_packets_are_there() {
    let mut buffer = filled(&[10, 11, 13, 14]);
    assert_eq!(pops(&mut buffer, 2), "10 11");
    assert_eq!(buffer.peek(), None);
    assert_eq!(pop(&mut buffer), "m");
    assert_eq!(buffer.peek(), Some(&packet(13)), "which may repeat the missing one");
    assert_eq!(buffer.push(packet(12)), Pushed::Late);
    assert_eq!(pops(&mut buffer, 3), "s 13 14", "waiting longer would have saved it");
    let counts = buffer.counts();
    assert_eq!((counts.late, counts.concealed), (1, 2));
}

#[test]
fn a_packet_that_comes_while_nothing_is_there_is_still_heard() {
    let mut buffer = filled(&[10, 11]);
    assert_eq!(pops(&mut buffer, 4), "10 11 s s");
    push(&mut buffer, &[12, 13]);
    assert_eq!(pops(&mut buffer, 2), "12 13");
    assert_eq!((buffer.counts().late, buffer.counts().concealed), (0, 2));
}

#[test]
fn the_time_of_a_lost_packet_is_not_filled_twice() {
    let mut buffer = filled(&[10, 11]);
    assert_eq!(pops(&mut buffer, 3), "10 11 s");
    push(&mut buffer, &[13, 14]);
    assert_eq!(pops(&mut buffer, 2), "13 14");
    assert_eq!(buffer.bursts().clusters().gap_density, 1.0 / 5.0, "it is a loss all the same");
}

#[test]
fn after_a_long_pause_speech_begins_anew() {
    let mut buffer = filled(&[10, 11]);
    pops(&mut buffer, 2);
    assert_eq!(pops(&mut buffer, 12), "s s s s s s s s s s i i");
    buffer.push(packet(12));
    assert_eq!(pop(&mut buffer), "i", "it waits for a second one again");
    push(&mut buffer, &[13, 14]);
    assert_eq!(pops(&mut buffer, 3), "12 13 14");
}

#[test]
fn an_outage_is_not_waited_through() {
    let mut buffer = filled(&[10, 11]);
    pops(&mut buffer, 2);
    push(&mut buffer, &[510, 511]);
    assert_eq!(pops(&mut buffer, 2), "510 511");
}

#[test]
fn a_sender_that_begins_anew_is_followed() {
    let mut buffer = filled(&[10, 11]);
    pops(&mut buffer, 2);
    push(&mut buffer, &[40_000, 40_001]);
    assert_eq!(pops(&mut buffer, 2), "40000 40001");
    buffer.restart(48_000);
    push(&mut buffer, &[5, 6]);
    assert_eq!(pops(&mut buffer, 2), "5 6");
}

#[test]
fn numbers_wrap() {
    let mut buffer = filled(&[65_535, 65_534, 0, 1]);
    assert_eq!(pops(&mut buffer, 4), "65534 65535 0 1");
}

#[test]
fn a_burst_after_a_stall_keeps_the_newest_within_the_limit() {
    let mut buffer = filled(&[10, 11]);
    pops(&mut buffer, 2);
    (12..40).for_each(|number| assert_eq!(buffer.push(packet(number)), Pushed::Queued));
    assert_eq!((buffer.delay_ms(), buffer.counts().overflowed), (MOST_DELAY_MS, 18));
    assert_eq!(pops(&mut buffer, 2), "30 31");
}

#[test]
fn the_limit_is_in_time_not_in_packets() {
    let mut buffer = Buffer::new(8000);
    (0..30).for_each(|n| {
        buffer.push(Packet { timestamp: u32::from(n) * 80, ..packet(n) });
    });
    assert_eq!((buffer.frame_ms(), buffer.delay_ms()), (10, 200));
    assert_eq!(buffer.counts().overflowed, 10);
}

#[test]
fn packets_without_speech_take_no_time() {
    let mut buffer = filled(&[10, 11]);
    (12..15).for_each(|number| {
        buffer.push(event(number));
    });
    buffer.push(packet(15));
    assert_eq!(pops(&mut buffer, 3), "10 11 15");
    assert_eq!(buffer.counts().concealed, 0);
}

/// One packet per pop, in time, with so many waiting.
fn steady(buffer: &mut Buffer, first: u16, count: u16, mut each: impl FnMut(&mut Buffer)) -> String {
    let mut said = String::new();
    for number in first..first + count {
        buffer.push(packet(number));
        said = pop(buffer);
        each(buffer);
    }
    said
}

#[test]
fn a_delay_that_was_not_needed_for_a_while_is_given_up_in_quiet_or_else_anyway() {
    let mut buffer = filled(&[0, 1, 2, 3, 4, 5]);
    steady(&mut buffer, 6, 255, |buffer| assert!(!buffer.has_surplus()));
    assert_eq!(buffer.delay_ms(), 120);
    steady(&mut buffer, 261, 1, |buffer| assert!(buffer.has_surplus()));
    // The owner finds a quiet frame: it takes one more and says so.
    buffer.pop();
    buffer.skipped();
    assert_eq!((buffer.delay_ms(), buffer.counts().skipped), (100, 1));
    // It finds none for long.
    steady(&mut buffer, 262, 2000, |_| {});
    assert_eq!((buffer.delay_ms(), buffer.counts().skipped, buffer.counts().concealed), (20, 5, 0));
    assert!(!buffer.has_surplus());
}

#[test]
fn late_packets_make_the_next_talk_spurt_wait_longer() {
    let mut buffer = filled(&[10, 11, 13]);
    assert_eq!(pops(&mut buffer, 3), "10 11 m");
    buffer.push(packet(12));
    assert_eq!(pops(&mut buffer, 13), "s 13 s s s s s s s s s s i");
    push(&mut buffer, &[20, 21]);
    assert_eq!(pop(&mut buffer), "i", "three are waited for now");
    buffer.push(packet(22));
    assert_eq!(pop(&mut buffer), "20");
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Push(u16, bool),
    Pop,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    // Numbers wander forward with everything that networks do to them, and wrap.
    let push = (-40i32..60, prop::bool::weighted(0.9)).prop_map(|(ahead, speech)| (ahead, speech));
    let step = prop_oneof![3 => push.prop_map(Some), 3 => Just(None)];
    (any::<u16>(), prop::collection::vec(step, 0..400)).prop_map(|(start, steps)| {
        let mut count = 0i32;
        let number = |step: Option<(i32, bool)>| match step {
            Some((ahead, speech)) => {
                count += 1;
                // Mostly in order, sometimes off by what the step says.
                let off = if ahead % 4 == 0 { ahead } else { 0 };
                Step::Push(start.wrapping_add((count + off) as u16), speech)
            }
            None => Step::Pop,
        };
        steps.into_iter().map(number).collect()
    })
}

proptest! {
    #[test]
    fn speech_never_runs_backwards_and_every_packet_is_accounted_for(steps in steps()) {
        let mut buffer = Buffer::new(8000);
        let (mut pushed, mut played) = (0u64, 0u64);
        let mut last: Option<u16> = None;
        for step in steps {
            match step {
                Step::Push(number, speech) => {
                    let queued = buffer.push(if speech { packet(number) } else { event(number) });
                    pushed += u64::from(speech && queued == Pushed::Queued);
                }
                Step::Pop => {
                    if let Popped::Packet(packet) = buffer.pop() {
                        if let Some(last) = last {
                            prop_assert!((1..0x8000).contains(&packet.sequence.wrapping_sub(last)));
                        }
                        last = Some(packet.sequence);
                        played += 1;
                    }
                }
            }
            prop_assert!(buffer.delay_ms() <= MOST_DELAY_MS.max(3 * buffer.frame_ms()));
            prop_assert!(buffer.packets.len() <= 40);
            let waiting = buffer.packets.values().filter(|packet| packet.payload.is_some()).count() as u64;
            let counts = buffer.counts();
            prop_assert_eq!(pushed, played + waiting + counts.overflowed + counts.skipped);
        }
    }

    #[test]
    fn any_numbers_at_all_keep_it_bounded(
        numbers in prop::collection::vec((any::<u16>(), any::<u32>(), any::<bool>()), 0..300)
    ) {
        let mut buffer = Buffer::new(8000);
        for (sequence, timestamp, pop) in numbers {
            buffer.push(Packet { timestamp, ..packet(sequence) });
            if pop {
                buffer.pop();
            }
            prop_assert!(buffer.packets.len() <= 40 && buffer.delay_ms() <= MOST_DELAY_MS.max(3 * buffer.frame_ms()));
        }
    }

    #[test]
    fn neighbours_that_swap_are_no_loss(swaps in prop::collection::vec(any::<bool>(), 1..100)) {
        let mut buffer = Buffer::new(8000);
        let mut heard = Vec::new();
        for (at, swap) in swaps.iter().enumerate() {
            let first = at as u16 * 2;
            let pair = if *swap { [first + 1, first] } else { [first, first + 1] };
            push(&mut buffer, &pair);
            for _ in 0..2 {
                if let Popped::Packet(packet) = buffer.pop() {
                    heard.push(packet.sequence);
                }
            }
        }
        prop_assert_eq!(heard, (0..swaps.len() as u16 * 2).collect::<Vec<_>>());
    }
}

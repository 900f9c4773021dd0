//! What the RTCP builder writes, the reader reads.

use carillon_wire::rtcp::{Builder, Content, ReportBlock, SenderInfo, VoipMetrics, is_compound, packets};
use proptest::prelude::*;

fn block() -> impl Strategy<Value = ReportBlock> {
    (any::<[u32; 5]>(), any::<u8>(), -0x80_0000..0x80_0000).prop_map(
        |(words, fraction_lost, cumulative_lost)| {
            let [ssrc, highest_sequence, jitter, last_sr, delay_since_sr] = words;
            ReportBlock {
                ssrc,
                fraction_lost,
                cumulative_lost,
                highest_sequence,
                jitter,
                last_sr,
                delay_since_sr,
            }
        },
    )
}

fn metrics() -> impl Strategy<Value = VoipMetrics> {
    (any::<u32>(), any::<[u8; 13]>(), any::<[u16; 7]>()).prop_map(|(ssrc, b, w)| VoipMetrics {
        ssrc,
        loss_rate: b[0],
        discard_rate: b[1],
        burst_density: b[2],
        gap_density: b[3],
        burst_duration: w[0],
        gap_duration: w[1],
        round_trip_delay: w[2],
        end_system_delay: w[3],
        signal_level: b[4] as i8,
        noise_level: b[5] as i8,
        echo_return_loss: b[6],
        gmin: b[7],
        r_factor: b[8],
        external_r_factor: b[9],
        mos_listening: b[10],
        mos_conversation: b[11],
        receiver_config: b[12],
        jitter_nominal: w[4],
        jitter_maximum: w[5],
        jitter_absolute_maximum: w[6],
    })
}

proptest! {
    #[test]
    fn compounds(
        ssrc: u32,
        ntp: u64,
        numbers in any::<[u32; 3]>(),
        blocks in prop::collection::vec(block(), 0..40),
        name in "[ -~]{0,300}",
        metrics in metrics(),
    ) {
        let [rtp_timestamp, packets_sent, octets] = numbers;
        let info = SenderInfo { ssrc, ntp, rtp_timestamp, packets: packets_sent, octets };
        let bytes = Builder::default()
            .sender_report(&info, &blocks)
            .receiver_report(ssrc, &blocks)
            .cname(ssrc, &name)
            .voip_metrics(ssrc, &metrics)
            .bye(ssrc)
            .finish();
        let len = bytes.len() as u32;
        prop_assert!(is_compound(&bytes, len));
        let read: Vec<_> = packets(&bytes, len).map(|packet| packet.content()).collect();
        let [Content::SenderReport(sender, first), Content::ReceiverReport(reporter, second),
             Content::SourceDescription(chunks), Content::ExtendedReport(extended, mut blocks_read), Content::Bye(bye)] = read[..]
        else { panic!("{read:?}") };
        let most = &blocks[..blocks.len().min(31)];
        prop_assert_eq!((sender, reporter, extended), (info, ssrc, ssrc));
        prop_assert_eq!(first.collect::<Vec<_>>(), most);
        prop_assert_eq!(second.collect::<Vec<_>>(), most);
        prop_assert_eq!(chunks.cname(), Some((ssrc, &name.as_bytes()[..name.len().min(255)])));
        prop_assert_eq!(blocks_read.next().and_then(|block| block.voip_metrics()), Some(metrics));
        prop_assert_eq!(bye.sources().collect::<Vec<_>>(), [ssrc]);
    }
}

#[test]
fn losses_beyond_24_bits_are_clamped() {
    let block = |lost| ReportBlock {
        ssrc: 1,
        fraction_lost: 0,
        cumulative_lost: lost,
        highest_sequence: 0,
        jitter: 0,
        last_sr: 0,
        delay_since_sr: 0,
    };
    let bytes = Builder::default().receiver_report(9, &[block(i32::MAX), block(i32::MIN)]).finish();
    let Some(Content::ReceiverReport(_, blocks)) =
        packets(&bytes, bytes.len() as u32).next().map(|p| p.content())
    else {
        panic!("no report");
    };
    assert_eq!(blocks.map(|block| block.cumulative_lost).collect::<Vec<_>>(), [0x7f_ffff, -0x80_0000]);
}

//! Every scenario anew: other people's programs call each other now, then tshark and carillon are asked.

use carillon_interop::Result;
use carillon_interop::agreement::compare;
use carillon_interop::scenario::{ALL, with_recording};

fn agree(name: &str) -> Result<()> {
    with_recording(name, |recording| {
        let (disagreements, report) = compare(&recording.capture, &recording.description)?;
        assert!(disagreements.is_empty(), "{name}:\n{}", disagreements.join("\n"));
        let expected = recording.description.verdict();
        assert_eq!(report.verdict, expected, "{name}: {:#?}", report.findings);
        Ok(())
    })
}

macro_rules! scenarios {
    ($($test:ident $name:literal)*) => {
        $(#[test] fn $test() -> Result<()> { agree($name) })*

        #[test]
        fn every_scenario_of_the_list_is_run() {
            let listed: Vec<&str> = ALL.iter().map(|scenario| scenario.name).collect();
            assert_eq!(listed, [$($name),*]);
        }
    };
}

scenarios! {
    baresip_udp_v4 "baresip-udp-v4"
    baresip_tcp "baresip-tcp"
    baresip_v6 "baresip-v6"
    baresip_cooked_v1 "baresip-cooked-v1"
    baresip_cooked_v2 "baresip-cooked-v2"
    baresip_srtp "baresip-srtp"
    aiortc "aiortc"
    chromium_bundle "chromium-bundle"
    chromium_reports_unmarked "chromium-reports-unmarked"
    ffmpeg_stream "ffmpeg-stream"
    gso "gso"
    gso_off "gso-off"
    linphone "linphone"
    sipp_pcap_play "sipp-pcap-play"
    sipp_many_calls "sipp-many-calls"
    turn_relayed "turn-relayed"
    turn_at_relay "turn-at-relay"
}

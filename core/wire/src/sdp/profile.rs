//! How the audio of a description is carried: what one end speaks, and the other has to speak too.

use super::Session;

/// A way of carrying media that ends share or don't.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Profile {
    /// DTLS-SRTP on ways that ICE finds (RFC 8827): browsers speak nothing else.
    Web,
    /// RTP, or SRTP with keys in the description: what phones speak.
    Phone,
}

impl Profile {
    /// The one that is not this one.
    pub const fn other(self) -> Profile {
        match self {
            Profile::Web => Profile::Phone,
            Profile::Phone => Profile::Web,
        }
    }
}

impl Session<'_> {
    /// The profile of the first audio section that is not refused; `None` without audio.
    pub fn profile(&self) -> Option<Profile> {
        let audio = self.media().find(|media| media.kind == "audio" && !media.is_refused())?;
        Some(if audio.is_dtls() { Profile::Web } else { Profile::Phone })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_audio_section_that_is_not_refused_decides() {
        let profile = |text: &str| Session::parse(text.as_bytes()).unwrap().profile();
        assert_eq!(profile("v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n"), Some(Profile::Web));
        assert_eq!(profile("v=0\r\nm=audio 9 RTP/SAVP 0\r\n"), Some(Profile::Phone));
        let both = "v=0\r\nm=audio 0 RTP/AVP 0\r\nm=video 9 RTP/AVP 96\r\nm=audio 9 UDP/TLS/RTP/SAVP 0\r\n";
        assert_eq!(profile(both), Some(Profile::Web));
        assert_eq!(profile("v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n"), None);
    }
}

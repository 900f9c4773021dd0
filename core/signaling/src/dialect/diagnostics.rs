//! `ms-client-diagnostics`: why a client of Lync or Skype for Business says that a call failed.

use carillon_wire::sip::Message;

/// Numbers that mean that media found no way, by where the two are: one inside and one outside (21), both inside (22), both
/// outside (23), one unknown (24, 25); and while the call was up (31 to 34).
const MEDIA: [u32; 9] = [21, 22, 23, 24, 25, 31, 32, 33, 34];

/// Whether a BYE or CANCEL says that media found no way.
pub(crate) fn is_media_failure(message: &Message<&[u8]>) -> bool {
    let number = |value: &[u8]| {
        let digits = value.split(|byte| !byte.is_ascii_digit()).next()?;
        std::str::from_utf8(digits).ok()?.parse::<u32>().ok()
    };
    message.named("ms-client-diagnostics").filter_map(number).any(|number| MEDIA.contains(&number))
}

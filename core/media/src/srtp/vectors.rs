//! The vectors of RFC 3711, appendix B, and of RFC 7714, sections 16 and 17.

use super::*;
use crate::srtp::{Receiver, Sender};

fn hex(text: &str) -> Vec<u8> {
    let digits: String = text.chars().filter(|character| character.is_ascii_hexdigit()).collect();
    let bytes = digits.as_bytes().chunks_exact(2);
    bytes.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

#[test]
fn rfc_3711_b_2_the_key_stream() {
    let aes = Aes128::new_from_slice(&hex("2B7E151628AED2A6ABF7158809CF4F3C")).unwrap();
    let salt: [u8; 14] = hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD").try_into().unwrap();
    let mut stream = vec![0; 0xff02 * 16];
    counter_mode(&aes, &salt, 0, 0, &mut stream);
    let first =
        "E03EAD0935C95E80E166B16DD92B4EB4 D23513162B02D0F72A43A2FE4A5F97AB 41E95B3BB0A2E8DD477901E4FCA894C0";
    let last =
        "EC8CDF7398607CB0F2D21675EA9EA1E4 362B7C3C6773516318A077D7FC5073AE 6A2CC3787889374FBEB4C81B17BA6C44";
    assert_eq!(stream[..48], hex(first));
    assert_eq!(stream[0xfeff * 16..], hex(last));
}

#[test]
fn rfc_3711_b_3_the_session_keys() {
    let master = hex("E1F97A0D3E018BE0D64FA32C06DE4139 0EC675AD498AFEEBB6960B3AABE6");
    let key = Key::new(Suite::AesCm128HmacSha1Tag80, &master).unwrap();
    let derived = |label, len| {
        let mut out = vec![0; len];
        expand(&key, label, &mut out).unwrap();
        out
    };
    assert_eq!(derived(0, 16), hex("C61E7A93744F39EE10734AFE3FF7A087"));
    assert_eq!(derived(2, 14), hex("30CBBC08863D8C85D49DB34A9AE1"));
    let authentication =
        "CEBE321F6FF7716B6FD4AB49AF256A15 6D38BAA48F0A0ACF3C34E2359E6CDBCE E049646C43D9327AD175578EF7227098
        6371C10C9A369AC2F94A8C5FBCDDDC25 6D6E919A48B610EF17C2041E47403576 6B68642C59BBFC2F34DB60DBDFB2";
    assert_eq!(derived(1, 94), hex(authentication));
}

const KEY_128: &str = "000102030405060708090a0b0c0d0e0f";
const KEY_256: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const HEADER: &str = "8040f17b 8041f8d3 5501a0b2";
const SSRC: u32 = 0x5501_a0b2;

fn gcm(suite: Suite, key: &str) -> Cipher {
    Cipher::new(suite, &hex(key), b"Quid pro quo", &[0; 20], 10).unwrap()
}

fn rtp() -> Vec<u8> {
    [&hex(HEADER), &b"Gallia est omnis divisa in partes tres"[..]].concat()
}

#[test]
fn rfc_7714_16_1_and_16_2_rtp() {
    let cases = [
        (
            gcm(Suite::AeadAes128Gcm, KEY_128),
            "f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf8833
             899d7f27beb16a9152cf765ee4390cce",
        ),
        (
            gcm(Suite::AeadAes256Gcm, KEY_256),
            "32b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a0276ffae0f1ba63799b87b
             7aa3db36dfffd6b0f9bb7878d7a76c13",
        ),
    ];
    for (cipher, expected) in cases {
        let mut packet = rtp();
        cipher.seal_rtp(SSRC, 0xf17b, 12, &mut packet).unwrap();
        assert_eq!(packet, [hex(HEADER), hex(expected)].concat());
        let len = cipher.open_rtp(SSRC, 0xf17b, 12, &mut packet).unwrap();
        assert_eq!(packet[..len], rtp());
    }
}

const RTCP: &str = "81c8000d4d617273 4e5450314e545032525450200000042a0000e9304c756e61
    deadbeefdeadbeefdeadbeefdeadbeefdeadbeef";
const MARS: u32 = 0x4d61_7273;

#[test]
fn rfc_7714_17_1_and_17_2_rtcp() {
    let cases = [
        (
            gcm(Suite::AeadAes128Gcm, KEY_128),
            "81c8000d4d61727363e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32dc676a5f1730d6fda4ce09b4686303ded
             0bb9275bc84aa45896cf4d2fc5abf87245d9eade800005d4",
        ),
        (
            gcm(Suite::AeadAes256Gcm, KEY_256),
            "81c8000d4d617273d50ae4d1f5ce5d304ba297e47d470c282c3ece5dbffe0a50a2eaa5c1110555be8415f658c61de047
             6f1b6fad1d1eb30c4446839f57ff6f6cb26ac3be800005d4",
        ),
    ];
    for (cipher, expected) in cases {
        let mut packet = hex(RTCP);
        cipher.seal_rtcp(MARS, 0x5d4, &mut packet).unwrap();
        assert_eq!(packet, hex(expected));
        let len = cipher.open_rtcp(MARS, &mut packet).unwrap();
        assert_eq!(packet[..len], hex(RTCP));
    }
}

#[test]
fn rfc_7714_17_3_rtcp_that_is_only_authenticated() {
    let mut packet = [hex(RTCP), hex("841dd9683dd78ec92ae58790125f62b3000005d4")].concat();
    let cipher = gcm(Suite::AeadAes128Gcm, KEY_128);
    let len = cipher.open_rtcp(MARS, &mut packet).unwrap();
    assert_eq!(packet[..len], hex(RTCP));
    packet[20] ^= 1;
    assert_eq!(cipher.open_rtcp(MARS, &mut packet), None);
}

/// The packets that libsrtp validates itself with, under the master key of RFC 3711, B.3.
#[test]
fn whole_packets_under_a_master_key() {
    let master = hex("E1F97A0D3E018BE0D64FA32C06DE4139 0EC675AD498AFEEBB6960B3AABE6");
    let key = Key::new(Suite::AesCm128HmacSha1Tag80, &master).unwrap();
    let plain = [hex("800f1234decafbadcafebabe"), vec![0xab; 16]].concat();
    let expected = hex("800f1234decafbadcafebabe 4e55dc4ce79978d88ca4d215949d2402 b78d6acc99ea179b8dbb");
    let mut packet = plain.clone();
    Sender::new(&key).unwrap().protect_rtp(&mut packet).unwrap();
    assert_eq!(packet, expected);
    let len = Receiver::new(&key).unwrap().unprotect_rtp(&mut packet).unwrap();
    assert_eq!(packet[..len], plain);

    let plain = [hex("81c8000bcafebabe"), vec![0xab; 16]].concat();
    let mut packet = hex("81c8000bcafebabe 7128035be487b9bdbef89041f977a5a8 80000001 993e08cd54d6c1230798");
    let mut again = plain.clone();
    Cipher::derive(&key, Purpose::Rtcp).unwrap().seal_rtcp(0xcafe_babe, 1, &mut again).unwrap();
    assert_eq!(again, packet);
    let len = Receiver::new(&key).unwrap().unprotect_rtcp(&mut packet).unwrap();
    assert_eq!(packet[..len], plain);
}

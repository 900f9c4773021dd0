//! Causes, in the order of root causes: what explains more comes first.

use serde::Serialize;

macro_rules! causes {
    ($($variant:ident $name:literal $summary:literal;)*) => {
        /// Why an Edge can't do its work. The order is that of root causes.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Cause { $(#[doc = $summary] $variant),* }

        impl Cause {
            /// All of them.
            pub const ALL: &[Cause] = &[$(Cause::$variant),*];

            /// Stable kebab-case name.
            pub const fn name(self) -> &'static str {
                match self { $(Cause::$variant => $name),* }
            }

            /// In one sentence.
            pub const fn summary(self) -> &'static str {
                match self { $(Cause::$variant => $summary),* }
            }
        }
    };
}

causes! {
    NameNotResolved "name-not-resolved" "A name has no address.";
    NameElsewhere "name-elsewhere" "A name leads to another address than the Edge's.";
    NotRunning "not-running" "The Edge does not run.";
    ServiceDown "service-down" "A service does not run.";
    NotListening "not-listening" "A service runs and does not listen where it should.";
    ListensTwice "listens-twice" "Several sockets wait at one place.";
    ListensOutside "listens-outside" "What only the inside may reach listens towards the outside.";
    NoDefaultGateway "no-default-gateway" "No default gateway leads outside.";
    TwoDefaultGateways "two-default-gateways" "There is a default gateway on both sides.";
    DefaultGatewayInside "default-gateway-inside" "The default gateway is inside.";
    InsideNotRouted "inside-not-routed" "A network of the inside has no route through the internal interface.";
    NetworksOverlap "networks-overlap" "Networks overlap that must be told apart.";
    NoRoute "no-route" "There is no way to the address.";
    Firewall "firewall" "A firewall keeps packets back.";
    UdpBlocked "udp-blocked" "UDP does not pass, TCP does.";
    TcpBlocked "tcp-blocked" "TCP does not pass, UDP does.";
    NothingAnswers "nothing-answers" "Nothing comes back from the address.";
    SomethingElse "something-else" "Something else answers.";
    CertificateUnseen "certificate-unseen" "A certificate can't be read or was not shown.";
    CertificateForAnother "certificate-for-another" "A certificate is for another name.";
    CertificateWithoutNames "certificate-without-names" "A certificate that is shown outside has no alternative names, which clients go by.";
    CertificateEnded "certificate-ended" "A certificate has ended.";
    CertificateNotTrusted "certificate-not-trusted" "Another authority made a certificate, perhaps a proxy on the way.";
    KeysDiffer "keys-differ" "Machines of a pool prove themselves with different keys.";
    NoCredential "no-credential" "Nobody gives credentials.";
    CredentialRefused "credential-refused" "The relay does not take the credential.";
    NothingLent "nothing-lent" "The relay lends no address.";
    NotRelayed "not-relayed" "A relayed packet does not arrive.";
    NothingBack "nothing-back" "The answer to a relayed packet does not arrive.";
    MarkLost "mark-lost" "A relayed packet arrives with another mark than planned.";
    CertificateEnds "certificate-ends" "A certificate ends soon.";
    AlternativeNames "alternative-names" "The internal certificate has alternative names.";
    FalseAlarm "false-alarm" "A tester that goes by the name of the machine would complain, for nothing.";
}

//! Which site of the plan an address is at, by the subnets that the plan names (`[management.NetworkSubnet.…]`).

use std::net::IpAddr;
use std::sync::Arc;

use super::management::{KINDS, ManagedValue};
use super::{Network, Plan};

/// Networks and the sites that they are at.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Sites {
    /// The narrowest first.
    networks: Vec<(Network, Arc<str>)>,
}

impl Sites {
    /// Those of a plan. A subnet without a site, or without a length, is at none.
    pub fn of(plan: &Plan) -> Sites {
        let kind = KINDS.iter().find(|kind| kind.name == "NetworkSubnet");
        let objects = kind.into_iter().flat_map(|kind| plan.management().objects(kind));
        let subnet = |(identity, object): (&str, &super::management::Object)| {
            let Some(ManagedValue::Integer(bits)) = object.get("MaskBits") else { return None };
            let Some(ManagedValue::Text(site)) = object.get("NetworkSiteID") else { return None };
            let network = Network::of(identity.parse().ok()?, u8::try_from(*bits).ok()?)?;
            Some((network, Arc::from(site.as_str())))
        };
        let mut networks: Vec<_> = objects.filter_map(subnet).collect();
        networks.sort_by_key(|(network, _)| std::cmp::Reverse(network.prefix()));
        Sites { networks }
    }

    /// The site of an address; the narrowest network decides.
    pub fn site(&self, address: IpAddr) -> Option<&Arc<str>> {
        let address = address.to_canonical();
        self.networks.iter().find(|(network, _)| network.contains(address)).map(|(_, site)| site)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_narrowest_subnet_says_the_site() {
        let subnet = |address: &str, bits: u8, site: &str| {
            format!(
                "[management.NetworkSubnet.\"{address}\"]\nMaskBits = {bits}\nNetworkSiteID = \"{site}\"\n"
            )
        };
        let text = format!(
            "base = \"lync\"\n{}{}[management.NetworkSubnet.\"10.9.0.0\"]\nMaskBits = 16\n",
            subnet("10.0.0.0", 8, "Berlin"),
            subnet("10.1.0.0", 16, "Rome")
        );
        let sites = Sites::of(&Plan::from_toml(&text).unwrap());
        let site = |address: &str| sites.site(address.parse().unwrap()).map(|site| site.to_string());
        assert_eq!(site("10.1.2.3").as_deref(), Some("Rome"));
        assert_eq!(site("::ffff:10.2.2.3").as_deref(), Some("Berlin"));
        assert_eq!(site("10.9.2.3").as_deref(), Some("Berlin"), "a subnet without a site says nothing");
        assert_eq!(site("192.0.2.1"), None);
    }
}

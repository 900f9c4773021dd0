//! Links between the sites of a plan, and what they bear: `[management.Network…]`, as `New-CsNetworkBandwidthPolicyProfile` and
//! its like write it. In force while `NetworkConfiguration` has `EnableBandwidthPolicyCheck`.
//!
//! A site has a link to its region, regions have links to each other, and two sites may have one of their own. Who uses how much
//! is counted by the server.

use std::collections::BTreeMap;

use super::management::{KINDS, ManagedValue, Object};
use super::{ManagedKind, Plan};

/// What a link bears of one modality, in kilobits per second and direction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Budget {
    /// All calls together.
    pub total: u32,
    /// One call at most.
    pub session: Option<u32>,
}

/// A link with its budgets; where there is none, it bears what comes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Link {
    /// As administrators know it: of a site, `Reno`; of others the name of their policy.
    pub name: String,
    /// Of audio.
    pub audio: Option<Budget>,
    /// Of video.
    pub video: Option<Budget>,
}

/// The links of a plan.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Links {
    links: Vec<Link>,
    /// The link of each site to its region, and which that is.
    sites: BTreeMap<String, (Option<usize>, String)>,
    /// Between two sites, in order of their names.
    direct: BTreeMap<[String; 2], usize>,
    /// Between two regions: the links of the way.
    regions: BTreeMap<[String; 2], Vec<usize>>,
    /// Of one video stream at most.
    video: u32,
}

impl Links {
    /// Those of a plan; none while calls are not checked.
    pub fn of(plan: &Plan) -> Links {
        let mut links = Links::default();
        if Links::are_checked(plan) {
            links.read(plan);
        }
        links
    }

    /// Whether budgets hold.
    pub(super) fn are_checked(plan: &Plan) -> bool {
        objects(plan, "NetworkConfiguration").any(|(_, object)| {
            matches!(object.get("EnableBandwidthPolicyCheck"), Some(ManagedValue::Boolean(true)))
        })
    }

    /// What one video stream may take, in kilobits per second: `MaxVideoRateAllowed`.
    pub fn video(&self) -> u32 {
        self.video
    }

    /// All links, in the order by which routes name them.
    pub fn all(&self) -> &[Link] {
        &self.links
    }

    /// The ways between two places, the best first, each the links that it takes. `None` is anywhere else: then the way is to the
    /// region of the other. There is always one; it may take no link that is limited.
    pub fn routes(&self, from: Option<&str>, to: Option<&str>) -> Vec<Vec<usize>> {
        let [from, to] = [from, to].map(|site| site.map(str::to_lowercase));
        if from == to {
            return vec![Vec::new()];
        }
        let at = |site: &Option<String>| site.as_ref().and_then(|site| self.sites.get(site));
        let (a, b) = (at(&from), at(&to));
        let mut around: Vec<usize> = a.and_then(|(link, _)| *link).into_iter().collect();
        if let (Some((_, one)), Some((_, other))) = (a, b) {
            around.extend(self.regions.get(&pair(one, other)).into_iter().flatten());
        }
        around.extend(b.and_then(|(link, _)| *link));
        let direct = from.zip(to).and_then(|(from, to)| self.direct.get(&pair(&from, &to)));
        direct.map(|link| vec![*link]).into_iter().chain([around]).collect()
    }

    fn read(&mut self, plan: &Plan) {
        self.video = video(plan);
        for (name, object) in objects(plan, "NetworkSite") {
            let link = self.link(plan, name, object);
            let region = text(object, "NetworkRegionID").unwrap_or_default();
            self.sites.insert(name.to_lowercase(), (link, region.to_lowercase()));
        }
        for (name, object) in objects(plan, "NetworkInterSitePolicy") {
            let sites = ends(object, ["NetworkSiteID1", "NetworkSiteID2"]);
            let link = self.link(plan, name, object);
            self.direct.extend(sites.zip(link));
        }
        let mut named = BTreeMap::new();
        for (name, object) in objects(plan, "NetworkRegionLink") {
            let Some(link) = self.link(plan, name, object) else { continue };
            named.insert(name.to_lowercase(), link);
            let regions = ends(object, ["NetworkRegionID1", "NetworkRegionID2"]);
            self.regions.extend(regions.map(|regions| (regions, vec![link])));
        }
        for (_, object) in objects(plan, "NetworkInterRegionRoute") {
            let Some(ManagedValue::List(way)) = object.get("NetworkRegionLinks") else { continue };
            let way = way.iter().filter_map(|link| named.get(&link.to_lowercase()).copied()).collect();
            let regions = ends(object, ["NetworkRegionID1", "NetworkRegionID2"]);
            self.regions.extend(regions.map(|regions| (regions, way)));
        }
    }

    /// Adds a link, if its profile limits anything.
    fn link(&mut self, plan: &Plan, name: &str, object: &Object) -> Option<usize> {
        let profile = text(object, "BWPolicyProfileID")?;
        let kind = kind("NetworkBandwidthPolicyProfile")?;
        let Some(ManagedValue::List(policies)) = plan.management().value(kind, profile, "BWPolicy") else {
            return None;
        };
        let budget = |modality: &str| policies.iter().find_map(|policy| budget(policy, modality));
        self.links.push(Link { name: name.to_owned(), audio: budget("Audio"), video: budget("Video") });
        Some(self.links.len() - 1)
    }
}

/// `BWLimit=2000;BWSessionLimit=200;BWPolicyModality=Audio`.
fn budget(policy: &str, modality: &str) -> Option<Budget> {
    let part = |name: &str| {
        let mut parts = policy.split(';').filter_map(|part| part.split_once('='));
        parts.find(|(own, _)| own.trim().eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    };
    part("BWPolicyModality").filter(|own| own.eq_ignore_ascii_case(modality))?;
    let session = part("BWSessionLimit").and_then(|limit| limit.parse().ok());
    Some(Budget { total: part("BWLimit")?.parse().ok()?, session })
}

/// Hd720p, VGA and CIF, as `Set-CsMediaConfiguration` names them.
fn video(plan: &Plan) -> u32 {
    let allowed = kind("MediaConfiguration")
        .and_then(|kind| plan.management().value(kind, "Global", "MaxVideoRateAllowed"));
    match allowed {
        Some(ManagedValue::Text(rate)) if rate == "Hd720p15M" => 1500,
        Some(ManagedValue::Text(rate)) if rate == "CIF250K" => 250,
        _ => 600,
    }
}

fn kind(name: &str) -> Option<&'static ManagedKind> {
    KINDS.iter().find(|kind| kind.name == name)
}

fn objects<'p>(plan: &'p Plan, name: &str) -> impl Iterator<Item = (&'p str, &'p Object)> {
    kind(name).into_iter().flat_map(|kind| plan.management().objects(kind))
}

fn text<'o>(object: &'o Object, name: &str) -> Option<&'o str> {
    match object.get(name) {
        Some(ManagedValue::Text(text)) => Some(text),
        _ => None,
    }
}

fn ends(object: &Object, names: [&str; 2]) -> Option<[String; 2]> {
    let [one, other] = names.map(|name| text(object, name));
    Some(pair(&one?.to_lowercase(), &other?.to_lowercase()))
}

fn pair(one: &str, other: &str) -> [String; 2] {
    let mut pair = [one.to_owned(), other.to_owned()];
    pair.sort();
    pair
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: &str = r#"
        base = "lync"
        [management.NetworkConfiguration.Global]
        EnableBandwidthPolicyCheck = true
        [management.NetworkBandwidthPolicyProfile.Thin]
        BWPolicy = ["BWLimit=1000;BWSessionLimit=100;BWPolicyModality=Audio", "BWLimit=700;BWSessionLimit=350;BWPolicyModality=Video"]
        [management.NetworkRegion.North]
        [management.NetworkRegion.South]
        [management.NetworkSite.Oslo]
        NetworkRegionID = "North"
        BWPolicyProfileID = "Thin"
        [management.NetworkSite.Kiel]
        NetworkRegionID = "North"
        [management.NetworkSite.Rome]
        NetworkRegionID = "South"
        BWPolicyProfileID = "thin"
        [management.NetworkInterSitePolicy.Fibre]
        NetworkSiteID1 = "Rome"
        NetworkSiteID2 = "Oslo"
        BWPolicyProfileID = "Thin"
        [management.NetworkRegionLink.Alps]
        NetworkRegionID1 = "North"
        NetworkRegionID2 = "South"
        BWPolicyProfileID = "Thin"
    "#;

    fn routes(links: &Links, from: Option<&str>, to: Option<&str>) -> Vec<String> {
        let name = |link: usize| links.all()[link].name.clone();
        let way = |way: Vec<usize>| way.into_iter().map(name).collect::<Vec<_>>().join(" ");
        links.routes(from, to).into_iter().map(way).collect()
    }

    #[test]
    fn a_call_takes_the_link_of_both_sites_or_one_of_their_own() {
        let links = Links::of(&Plan::from_toml(PLAN).unwrap());
        assert_eq!(
            routes(&links, Some("oslo"), Some("Rome")),
            ["Fibre", "Oslo Alps Rome"],
            "and around, if that is full"
        );
        assert_eq!(routes(&links, Some("Rome"), Some("Kiel")), ["Rome Alps"]);
        assert_eq!(routes(&links, Some("Kiel"), Some("Oslo")), ["Oslo"]);
        assert_eq!(routes(&links, Some("Oslo"), Some("OSLO")), [""]);
        assert_eq!(routes(&links, Some("Oslo"), None), ["Oslo"], "to wherever else");
        assert_eq!(routes(&links, None, None), [""]);
        let budget = |total, session| Some(Budget { total, session: Some(session) });
        let oslo = links.all().iter().find(|link| link.name == "Oslo").unwrap();
        assert_eq!((oslo.audio, oslo.video), (budget(1000, 100), budget(700, 350)));
    }

    #[test]
    fn a_route_between_regions_may_name_its_links_and_nothing_holds_unless_it_is_checked() {
        let more = r#"
        [management.NetworkRegionLink.Rhine]
        NetworkRegionID1 = "North"
        NetworkRegionID2 = "South"
        BWPolicyProfileID = "Thin"
        [management.NetworkInterRegionRoute.Both]
        NetworkRegionID1 = "South"
        NetworkRegionID2 = "North"
        NetworkRegionLinks = ["Rhine", "Alps"]
        "#;
        let links = Links::of(&Plan::from_toml(&format!("{PLAN}{more}")).unwrap());
        assert_eq!(routes(&links, Some("Rome"), Some("Kiel")), ["Rome Rhine Alps"]);
        let off = PLAN.replace("EnableBandwidthPolicyCheck = true", "EnableBandwidthPolicyCheck = false");
        assert_eq!(Links::of(&Plan::from_toml(&off).unwrap()), Links::default());
    }
}

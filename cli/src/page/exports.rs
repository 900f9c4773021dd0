//! The page of an export: for every file what it is for, how to install it, take it back and check it.

use carillon_qos::Plan;
use carillon_qos::export::{File, Guide, Target};

use super::markup::{Html, html};
use crate::words::some;

/// What came of one target.
pub struct Made {
    /// The target.
    pub target: &'static Target,
    /// Whose values: empty for the scope that was asked for, a site's name for its own folder.
    pub site: String,
    /// Its files, or why there are none.
    pub result: Result<Vec<File>, String>,
}

impl Made {
    /// Keeps the files with this in their path.
    pub fn retain(&mut self, only: &str) {
        if let Ok(files) = &mut self.result {
            files.retain(|file| file.path.contains(only));
            if files.is_empty() {
                self.result = Err(format!("no file of it has `{only}` in its path"));
            }
        }
    }

    /// The files that were made.
    pub fn files(&self) -> &[File] {
        self.result.as_deref().unwrap_or(&[])
    }
}

/// The whole page. Its links lead to the files beside it.
pub fn render(plan: &Plan, made: &[Made]) -> String {
    let mut page = Html::default();
    super::begin(&mut page, &format!("{}: one plan for every device", plan.name()));
    head(&mut page, plan, made);
    contents(&mut page, made);
    for (number, of_target) in made.iter().enumerate().filter(|(_, made)| !made.files().is_empty()) {
        target(&mut page, number, of_target);
    }
    without(&mut page, made);
    page.fixed("<section>\n<h2>The plan</h2>\n");
    html!(page, "<details><summary>as a file</summary><pre>{}</pre></details>\n</section>\n", plan.to_toml());
    super::end(&mut page);
    page.into_string()
}

/// Every target with a way to its files.
fn contents(page: &mut Html, made: &[Made]) {
    page.fixed("<section>\n<h2>Devices</h2>\n<ul class=\"card reasons\">\n");
    for (number, made) in made.iter().enumerate().filter(|(_, made)| !made.files().is_empty()) {
        html!(page, "<li><a href=\"#target-{}\">{}</a></li>\n", number, heading(made));
    }
    page.fixed("</ul>\n</section>\n");
}

fn heading(made: &Made) -> String {
    match made.site.as_str() {
        "" => made.target.title.to_owned(),
        site => format!("{}, site {site}", made.target.title),
    }
}

fn head(page: &mut Html, plan: &Plan, made: &[Made]) {
    let files = made.iter().flat_map(Made::files).count() as u64;
    page.fixed("<header class=\"verdict advice\">\n<p class=\"stamp\">EXPORT</p>\n");
    html!(page, "<h1>{}</h1>\n", plan.title());
    html!(page, "<p class=\"lead\">{} from the plan {}.</p>\n", some(files, "file", "files"), plan.name());
    page.fixed("<p>Every file says the same in the words of its device. Change the plan, not the files: the next export renews them, and <code>carillon plan check</code> finds devices that were left behind.</p>\n");
    page.fixed("<p>Begin with one site or a test group. Look at a capture with <code>carillon verify</code>, then go on.</p>\n</header>\n");
}

fn target(page: &mut Html, number: usize, made: &Made) {
    html!(page, "<section id=\"target-{}\">\n<h2>{}</h2>\n", number, heading(made));
    for file in made.files() {
        match &file.guide {
            Some(guide) => card(page, file, guide),
            None => html!(
                page,
                "<p class=\"note\"><a href=\"{}\">{}</a> belongs to it.</p>\n",
                file.path,
                file.path
            ),
        }
    }
    page.fixed("</section>\n");
}

fn card(page: &mut Html, file: &File, guide: &Guide) {
    html!(page, "<article class=\"card\">\n<h3><a href=\"{}\">{}</a></h3>\n", file.path, file.path);
    page.fixed("<p>");
    typed(page, &guide.purpose);
    page.fixed("</p>\n<details>\n<summary>Install, check, roll back</summary>\n");
    let parts = [
        ("Install", &guide.install),
        ("Check", &guide.check),
        ("Roll back", &guide.roll_back),
        ("Know", &guide.limits),
    ];
    for (name, steps) in parts.into_iter().filter(|(_, steps)| !steps.is_empty()) {
        html!(page, "<p><b>{}</b></p>\n<ol>\n", name);
        for step in steps {
            page.fixed("<li>");
            typed(page, step);
            page.fixed("</li>\n");
        }
        page.fixed("</ol>\n");
    }
    page.fixed("</details>\n</article>\n");
}

/// What stands in backticks is typed.
fn typed(page: &mut Html, text: &str) {
    for (number, part) in text.split('`').enumerate() {
        match number % 2 {
            0 => html!(page, "{}", part),
            _ => html!(page, "<code>{}</code>", part),
        }
    }
}

fn without(page: &mut Html, made: &[Made]) {
    let mut reasons = made.iter().filter_map(|made| Some((made, made.result.as_ref().err()?))).peekable();
    if reasons.peek().is_none() {
        return;
    }
    page.fixed("<section>\n<h2>Not made</h2>\n");
    for (made, reason) in reasons {
        let site = if made.site.is_empty() { String::new() } else { format!(", site {}", made.site) };
        html!(page, "<p class=\"card\"><b>{}{}</b>: {}</p>\n", made.target.title, site, reason);
    }
    page.fixed("</section>\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_linked_with_what_to_do_and_nothing_breaks_out() {
        let plan = Plan::from_toml("name = \"<b>\"\nbase = \"schertz-vvx\"\ntitle = \"<script>\"").unwrap();
        let guide = Guide {
            purpose: "for <you>".to_owned(),
            install: vec!["run `a <b>`".to_owned()],
            ..Guide::default()
        };
        let file = File { path: "windows/client.reg".to_owned(), bytes: Vec::new(), guide: Some(guide) };
        let part = File { path: "windows/part.xml".to_owned(), bytes: Vec::new(), guide: None };
        let target = Target::named("windows-reg").unwrap();
        let made = [
            Made { target, site: String::new(), result: Ok(vec![file, part]) },
            Made { target, site: "<i>".to_owned(), result: Err("no <u>".to_owned()) },
        ];
        let page = render(&plan, &made);
        for expected in [
            "<a href=\"windows/client.reg\">windows/client.reg</a>",
            "<a href=\"windows/part.xml\">",
            "<a href=\"#target-0\">",
            "<section id=\"target-0\">",
            "for &lt;you&gt;",
            "run <code>a &lt;b&gt;</code>",
            "no &lt;u&gt;",
        ] {
            assert!(page.contains(expected), "{expected}");
        }
        for tag in ["<script", "<i>", "<u>", "<you>"] {
            assert!(!page.contains(tag), "{tag}");
        }
    }
}

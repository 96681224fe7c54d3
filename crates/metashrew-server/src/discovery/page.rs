//! The page at `/`: what to call, for people. HTML for browsers, plain text for terminals. All
//! that the guest says is shown harmlessly in both.

use std::fmt::Write;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha256};

use super::openapi;
use super::sample;
use super::views::{Description, Form, Told, View};

const STYLE: &str = include_str!("page.css");

/// Stands for the server's address, which is the one that a client asks. What is shown of a
/// guest's has none: [`escaped`] and [`line`] leave only those that a [`command`] has.
pub(super) const BASE: char = '\0';

/// Bytes of an example input that a command shows at most.
const LONGEST_INPUT: usize = 1_000;

/// What the HTML may load and do: nothing but its own style.
pub(super) fn policy() -> String {
    let hash = BASE64_STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

/// A link, and what it is.
const LINKS: [(&str, &str); 5] = [
    ("/openapi.json", "the paths (OpenAPI)"),
    ("/openrpc.json", "the methods of JSON-RPC (OpenRPC)"),
    ("/health", "whether the server answers"),
    ("/ready", "whether it is near the tip"),
    ("/metrics", "what it counts"),
];

/// A command, and what it asks.
fn commands() -> [(&'static str, String); 4] {
    let rpc = |method: &str| {
        let call = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}"}}"#);
        format!("curl -s {BASE} -H 'content-type: application/json' -d '{call}'")
    };
    [
        ("The height of the last block", rpc("metashrew_height")),
        ("The views, with their schemas", rpc("metashrew_views")),
        ("What is counted", rpc("metashrew_stats")),
        (
            "Blocks as they come",
            format!("curl -sN {BASE}/subscribe/heads"),
        ),
    ]
}

/// The page as HTML.
pub(super) fn html(views: &Description) -> String {
    let mut page = String::new();
    let title = escaped(&views.title());
    let about = about(views).map(|line| format!("<p class=\"note\">{}</p>\n", escaped(&line)));
    let doc = views
        .guest
        .doc
        .as_deref()
        .map_or_else(String::new, paragraph);
    let version = escaped(views.guest.version.as_deref().unwrap_or_default());
    let about = about.concat();
    put(
        &mut page,
        format_args!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{title} <small>{version}</small></h1>\n{doc}{about}<h2>Views</h2>\n"
        ),
    );
    for view in &views.views {
        let name = escaped(&view.name);
        let doc = view.doc.as_deref().map_or_else(String::new, paragraph);
        put(&mut page, format_args!("<h3>{name}</h3>\n{doc}<dl>\n"));
        for (what, fact) in facts(view) {
            put(
                &mut page,
                format_args!("<dt>{what}</dt><dd>{}</dd>\n", escaped(&fact)),
            );
        }
        put(
            &mut page,
            format_args!("</dl>\n<pre>{}</pre>\n", shown(&command(view), escaped)),
        );
    }
    if let Some(more) = more(views) {
        put(&mut page, format_args!("<p>{more}</p>\n"));
    }
    page.push_str("<h2>Blocks and the index</h2>\n");
    for (what, command) in commands() {
        put(
            &mut page,
            format_args!("<p>{what}:</p>\n<pre>{}</pre>\n", shown(&command, escaped)),
        );
    }
    page.push_str("<h2>Documents and probes</h2>\n<ul>\n");
    for (path, what) in LINKS {
        put(
            &mut page,
            format_args!("<li><a href=\"{path}\">{path}</a>: {what}</li>\n"),
        );
    }
    page.push_str("</ul>\n</body>\n</html>\n");
    page
}

/// The page as text.
pub(super) fn text(views: &Description) -> String {
    let mut page = String::new();
    let version = views.guest.version.as_deref().unwrap_or_default();
    put(
        &mut page,
        format_args!(
            "{}\n",
            line(format!("{} {version}", views.title()).trim_end())
        ),
    );
    for doc in views.guest.doc.iter().flat_map(|doc| doc.lines()) {
        put(&mut page, format_args!("{}\n", line(doc)));
    }
    for about in about(views) {
        put(&mut page, format_args!("{}\n", line(&about)));
    }
    page.push_str("\nViews:\n");
    for view in &views.views {
        put(&mut page, format_args!("\n  {}\n", line(&view.name)));
        for doc in view.doc.iter().flat_map(|doc| doc.lines()) {
            put(&mut page, format_args!("    {}\n", line(doc)));
        }
        for (what, fact) in facts(view) {
            put(&mut page, format_args!("    {what}: {}\n", line(&fact)));
        }
        put(
            &mut page,
            format_args!("    $ {}\n", shown(&command(view), line)),
        );
    }
    if let Some(more) = more(views) {
        put(&mut page, format_args!("\n  {more}\n"));
    }
    page.push_str("\nBlocks and the index:\n\n");
    for (what, command) in commands() {
        put(&mut page, format_args!("  {what}:\n    $ {command}\n"));
    }
    page.push_str("\nDocuments and probes:\n\n");
    for (path, what) in LINKS {
        put(&mut page, format_args!("  {BASE}{path}: {what}\n"));
    }
    page
}

fn about(views: &Description) -> [String; 1] {
    let sha256 = &views.guest.sha256;
    [format!(
        "An index of Bitcoin's blocks, served by metashrew {}. The guest's module has the SHA-256 {sha256}.",
        super::VERSION
    )]
}

fn more(views: &Description) -> Option<String> {
    (views.omitted > 0).then(|| format!("and {} views that are not told", views.omitted))
}

/// What is known of a view, but for its doc.
fn facts(view: &View) -> Vec<(&'static str, String)> {
    let told = |told: &Told| told.ty.clone();
    let instances = match view.instances {
        "shared" => "persist, and answer about any block",
        "pinned" => "persist, each for one block",
        _ => "a new one for each call",
    };
    let mut facts = vec![
        ("input", told(&view.input)),
        ("output", told(&view.output)),
        ("instances", Some(instances.to_owned())),
    ];
    if view.answers_from_memory {
        facts.push((
            "answers",
            Some("from what earlier calls left, too".to_owned()),
        ));
    }
    if view.height_independent {
        facts.push(("height", Some("the answers do not depend on it".to_owned())));
    }
    let known = facts.into_iter();
    known
        .filter_map(|(what, fact)| Some((what, fact?)))
        .collect()
}

/// A command that asks the view.
fn command(view: &View) -> String {
    let Some(path) = openapi::path(&view.name) else {
        return format!("metashrew view '{}' --url {BASE}", quoted(&view.name));
    };
    let url = format!("{BASE}{path}");
    match view.input.form {
        Some(Form::Json) => {
            let schema = view.input.schema.as_ref();
            let input =
                schema.map_or_else(|| "{}".to_owned(), |schema| sample::of(schema).to_string());
            let input = if input.len() > LONGEST_INPUT {
                "{}"
            } else {
                &input
            };
            let input = quoted(input);
            format!("curl -s {url} -H 'content-type: application/json' -d '{input}'")
        }
        Some(Form::Text) => format!("curl -s {url} -H 'content-type: text/plain' -d 'text'"),
        Some(Form::Bytes) => format!("curl -s '{url}?input=0x'"),
        Some(Form::Nothing) | None => format!("curl -s {url}"),
    }
}

/// A command, whose guest's texts have no [`BASE`] in them, made harmless by `escape`.
fn shown(command: &str, escape: fn(&str) -> String) -> String {
    let parts: Vec<_> = command.split(BASE).map(escape).collect();
    parts.join("\0")
}

/// A text within quotes of a shell.
fn quoted(text: &str) -> String {
    text.replace('\'', r"'\''")
}

fn paragraph(text: &str) -> String {
    format!("<p>{}</p>\n", escaped(text))
}

/// A text in HTML, between tags or in quotes.
fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            '\n' => html.push(char),
            _ if is_harmless(char) => html.push(char),
            _ => html.extend(char.escape_unicode()),
        }
    }
    html
}

/// A text on one line of a terminal.
fn line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for char in text.chars() {
        if is_harmless(char) {
            line.push(char);
        } else {
            line.extend(char.escape_unicode());
        }
    }
    line
}

/// Whether a character only shows something: it neither controls a terminal nor turns what
/// stands around it.
fn is_harmless(char: char) -> bool {
    let turns = matches!(char, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    !char.is_control() && !turns
}

fn put(page: &mut String, what: std::fmt::Arguments<'_>) {
    page.write_fmt(what).expect("a text takes what is written");
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn views(view: View) -> Description {
        let mut views = Description::with(vec![view]);
        views.guest.name = Some("<i>&\"".to_owned());
        views.guest.doc = Some("a\0b\u{1b}[2J\n</p><script>alert(1)</script>".to_owned());
        views
    }

    fn asking(form: Option<Form>, name: &str) -> String {
        let view = View {
            name: name.to_owned(),
            input: Told {
                form,
                ..Told::default()
            },
            ..View::default()
        };
        command(&view).replace(BASE, "http://host")
    }

    #[test]
    fn nothing_that_a_guest_says_is_obeyed() {
        let hostile = "'\"><script>\0\u{202e}\u{1b}]0;x\u{7}";
        let schema = json!({ "const": hostile });
        let view = View {
            name: hostile.to_owned(),
            doc: Some(hostile.to_owned()),
            input: Told {
                ty: Some(hostile.to_owned()),
                form: Some(Form::Json),
                schema: Some(schema),
                schema_error: None,
            },
            ..View::default()
        };
        let views = views(view);
        let (html, text) = (html(&views), text(&views));
        // The style, and tags that are ours.
        assert!(!html.contains("<script") && !html.contains("<i>"), "{html}");
        assert!(
            html.contains("&lt;script&gt;alert(1)&lt;/script&gt;"),
            "{html}"
        );
        for page in [html, text] {
            let bad = |char: &char| !is_harmless(*char) && !matches!(char, '\n' | &BASE);
            assert_eq!(page.chars().find(bad), None);
            // One in each command and, in text, in front of each link.
            assert!(page.matches(BASE).count() <= 5 + LINKS.len());
            assert!(!page.contains("a\0b"));
        }
    }

    #[test]
    fn each_form_is_asked_in_its_way() {
        let check = |form, name, expect: &str| assert_eq!(asking(form, name), expect);
        check(None, "tip", "curl -s http://host/view/tip");
        check(Some(Form::Nothing), "a b", "curl -s http://host/view/a%20b");
        check(
            Some(Form::Bytes),
            "a'b",
            "curl -s 'http://host/view/a%27b?input=0x'",
        );
        check(
            Some(Form::Json),
            "é",
            "curl -s http://host/view/%C3%A9 -H 'content-type: application/json' -d '{}'",
        );
        check(None, "..", "metashrew view '..' --url http://host");
    }

    #[test]
    fn an_input_is_quoted_for_a_shell() {
        let view = View {
            name: "f".to_owned(),
            input: Told {
                form: Some(Form::Json),
                schema: Some(json!({ "const": "it's" })),
                ..Told::default()
            },
            ..View::default()
        };
        assert!(command(&view).ends_with(r#"-d '"it'\''s"'"#));
    }
}

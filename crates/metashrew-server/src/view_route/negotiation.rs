//! Which form of an answer a request's `Accept` header prefers.

use http::HeaderMap;
use http::header::ACCEPT;

use crate::form::Form;

/// The form preferred; the `usual` one among those that are welcome alike, or if none is.
pub(super) fn form(headers: &HeaderMap, usual: Form) -> Form {
    if !headers.contains_key(ACCEPT) {
        return usual;
    }
    let mut best = (usual, quality(headers, usual));
    for form in [Form::Json, Form::Text, Form::Bytes] {
        let quality = quality(headers, form);
        if quality > best.1 {
            best = (form, quality);
        }
    }
    best.0
}

/// How welcome a form is, from 0 to 1: what the narrowest range says that it is in.
fn quality(headers: &HeaderMap, form: Form) -> f32 {
    let (kind, subtype) = match form {
        Form::Json => ("application", "json"),
        Form::Text | Form::Hex => ("text", "plain"),
        Form::Bytes => ("application", "octet-stream"),
    };
    let mut found = (0, 0.0);
    let values = headers.get_all(ACCEPT).iter();
    let values = values.filter_map(|value| value.to_str().ok());
    for range in values.flat_map(|value| value.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let Some((one, other)) = parts.next().and_then(|name| name.split_once('/')) else {
            continue;
        };
        let narrow = match (one, other) {
            (one, other)
                if one.eq_ignore_ascii_case(kind) && other.eq_ignore_ascii_case(subtype) =>
            {
                3
            }
            (one, "*") if one.eq_ignore_ascii_case(kind) => 2,
            ("*", "*") => 1,
            _ => continue,
        };
        if narrow > found.0 {
            let quality = parts.find_map(|part| part.strip_prefix("q="));
            let quality = quality.and_then(|quality| quality.parse().ok());
            let quality = quality.filter(|quality| (0.0..=1.0).contains(quality));
            found = (narrow, quality.unwrap_or(1.0));
        }
    }
    found.1
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn check(accept: &'static str, usual: Form, expect: Form) {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static(accept));
        assert_eq!(form(&headers, usual), expect, "{accept}");
    }

    #[test]
    fn the_form_preferred() {
        for usual in [Form::Json, Form::Text, Form::Bytes] {
            check("application/json", usual, Form::Json);
            check("Application/JSON;charset=utf-8", usual, Form::Json);
            check("text/plain", usual, Form::Text);
            check("text/*", usual, Form::Text);
            check("application/octet-stream", usual, Form::Bytes);
            check("application/json, */*;q=0.5", usual, Form::Json);
            check(
                "text/plain;q=0.3, application/json;q=0.2",
                usual,
                Form::Text,
            );
            // Those of fetch, of browsers, and of a client that lists what it can read.
            check("*/*", usual, usual);
            let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
            check(browser, usual, usual);
            check("application/json, text/plain, */*", usual, usual);
            // What cannot be met is no reason to refuse.
            check("image/png", usual, usual);
            check("", usual, usual);
            check("json", usual, usual);
        }
        assert_eq!(form(&HeaderMap::new(), Form::Text), Form::Text);
        check("application/json;q=0, */*", Form::Json, Form::Text);
        check("application/*;q=0.9, text/*", Form::Json, Form::Text);
        check("text/plain;q=2", Form::Bytes, Form::Text);
        check("text/plain;q=NaN", Form::Bytes, Form::Text);
    }
}

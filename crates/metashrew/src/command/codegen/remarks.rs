//! What comments of a client say, in lines that are harmless in a comment of any language but for the
//! marks that end it.

use super::model::{Api, Form, Type, View};
use crate::printable;

/// The lines of a guest's text; none if it has none.
pub(super) fn lines(text: &str) -> Vec<String> {
    let text = text.trim();
    if text.is_empty() {
        return Vec::new();
    }
    text.lines()
        .map(|line| printable::line(line.trim_end()).into_owned())
        .collect()
}

/// What the file is.
pub(super) fn file(api: &Api, language: &str) -> Vec<String> {
    let guest = match (api.name.as_str(), api.version.as_str()) {
        ("", _) => "A client of a guest of metashrew.".to_owned(),
        (name, "") => format!("A client of the guest `{}`.", printable::line(name)),
        (name, version) => format!(
            "A client of the guest `{}` {}.",
            printable::line(name),
            printable::line(version)
        ),
    };
    let mut all = vec![guest, String::new()];
    let doc = lines(&api.doc);
    if !doc.is_empty() {
        all.extend(doc);
        all.push(String::new());
    }
    all.push(format!(
        "Written by `metashrew codegen {language}`. Where the guest's views change, write it again in place of changing it."
    ));
    all
}

/// What a view is for.
pub(super) fn view(view: &View) -> Vec<String> {
    let mut all = lines(&view.doc);
    if all.is_empty() {
        all.push(format!("The view `{}`.", printable::line(&view.name)));
    }
    let [input, output] = &view.told;
    let told = [
        (&view.input, "takes", input),
        (&view.output, "answers", output),
    ];
    let told = told
        .into_iter()
        .filter(|(form, _, told)| !told.is_empty() && !is_typed(form, told));
    let told = told.map(|(_, what, told)| {
        format!("The guest says that it {what} `{}`.", printable::line(told))
    });
    let told: Vec<_> = told.collect();
    if !told.is_empty() {
        all.push(String::new());
        all.extend(told);
    }
    all
}

/// Whether the client's types say as much as the guest's words.
fn is_typed(form: &Form, told: &str) -> bool {
    match form {
        Form::Nothing | Form::Text => true,
        Form::Json(ty) => *ty != Type::Unknown,
        Form::Bytes => told == "bytes",
        Form::Any => false,
    }
}

//! Questions to Prometheus: every series that one asks for must be in `/metrics`.

/// What is wrong with a question, if anything. Samples are the lines of `/metrics`.
pub(super) fn fault(question: &str, samples: &str) -> Option<String> {
    let count = |bracket: char| question.matches(bracket).count();
    if ["()", "{}", "[]"].iter().any(|pair| {
        let mut pair = pair.chars().map(count);
        pair.next() != pair.next()
    }) {
        return Some("brackets do not match".to_owned());
    }
    let series = series(question);
    if series.is_empty() {
        return Some("it asks for nothing of ours".to_owned());
    }
    let unknown = series.iter().find(|(name, labels)| {
        !samples.lines().any(|sample| {
            let labelled = sample.strip_prefix(name);
            labelled.is_some_and(|rest| {
                rest.starts_with(['{', ' ']) && labels.iter().all(|label| rest.contains(label))
            })
        })
    });
    unknown.map(|(name, labels)| format!("there is no `{name}` with {labels:?}"))
}

/// Names, each with its labels: `label="value"`, or `label=` of those it is summed by.
fn series(question: &str) -> Vec<(&str, Vec<String>)> {
    let by = question
        .split_once("by (")
        .and_then(|(_, rest)| rest.split_once(')'))
        .map_or("", |(labels, _)| labels);
    let by: Vec<_> = by
        .split(',')
        .map(str::trim)
        .filter(|label| !label.is_empty())
        .collect();
    let mut series = Vec::new();
    let mut rest = question;
    while let Some(at) = ["metashrew_", "process_"]
        .iter()
        .filter_map(|start| rest.find(start))
        .min()
    {
        rest = &rest[at..];
        let end = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
            .unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        rest = after;
        let labels = after
            .strip_prefix('{')
            .and_then(|labels| labels.split_once('}'))
            .map_or("", |(labels, _)| labels);
        let labels = labels
            .split(',')
            .map(str::trim)
            .filter(|label| !label.is_empty())
            .map(str::to_owned);
        series.push((
            name,
            labels
                .chain(by.iter().map(|label| format!("{label}=")))
                .collect(),
        ));
    }
    series
}

#[test]
fn a_question_about_what_is_not_there_is_found() {
    let samples =
        "metashrew_a_total{kind=\"x\"} 1\nmetashrew_b 2\nmetashrew_h_bucket{le=\"1\"} 3\n";
    for (question, is_right) in [
        ("rate(metashrew_a_total[1m])", true),
        ("sum by (kind) (rate(metashrew_a_total[1m]))", true),
        ("sum by (colour) (rate(metashrew_a_total[1m]))", false),
        (
            "metashrew_a_total{kind=\"x\"} == 1 or metashrew_b > 2",
            true,
        ),
        ("metashrew_a_total{kind=\"y\"} == 1", false),
        ("metashrew_b > 2 or metashrew_c == 1", false),
        ("metashrew_h > 2", false),
        (
            "histogram_quantile(0.9, rate(metashrew_h_bucket[1m]))",
            true,
        ),
        ("rate(metashrew_a_total[1m)", false),
        ("up == 0", false),
    ] {
        assert_eq!(fault(question, samples).is_none(), is_right, "{question}");
    }
}

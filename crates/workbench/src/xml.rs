//! Owns what the reports share of XML and HTML: text that is escaped, and JUnit's form.
//! Promises: no name or sentence breaks out of its place; the same cases give the same bytes.
//! Never decides what is a failure.

/// One test case of JUnit.
pub struct Case {
    pub class: String,
    pub name: String,
    pub duration_ms: u64,
    /// What there is to say of a case that is well; else why it failed.
    pub end: Result<String, Failure>,
}

/// Why a case has failed.
pub struct Failure {
    /// In a word.
    pub kind: String,
    pub message: String,
    /// All that there is to say.
    pub text: String,
}

/// One suite.
pub fn junit(name: &str, cases: &[Case]) -> String {
    let failures = cases.iter().filter(|case| case.end.is_err()).count();
    let seconds = |milliseconds: u64| milliseconds as f64 / 1000.0;
    let total: u64 = cases.iter().map(|case| case.duration_ms).sum();
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"{name}\" tests=\"{}\" \
         failures=\"{failures}\" time=\"{}\">\n",
        cases.len(),
        seconds(total)
    );
    for Case { class, name, duration_ms, end } in cases {
        text.push_str(&format!(
            "  <testcase classname=\"{}\" name=\"{}\" time=\"{}\">\n",
            escaped(class),
            escaped(name),
            seconds(*duration_ms)
        ));
        text.push_str(&match end {
            Err(failure) => format!(
                "    <failure type=\"{}\" message=\"{}\">{}</failure>\n",
                escaped(&failure.kind),
                escaped(&failure.message),
                escaped(&failure.text)
            ),
            Ok(said) => format!("    <system-out>{}</system-out>\n", escaped(said)),
        });
        text.push_str("  </testcase>\n");
    }
    text.push_str("</testsuite>\n");
    text
}

/// For XML and HTML; a control character, which neither may hold, is a question mark.
pub fn escaped(text: &str) -> String {
    let mut out = String::new();
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(letter),
            letter if letter.is_control() => out.push('?'),
            letter => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_breaks_out_of_a_page() {
        assert_eq!(escaped("<a href=\"x\">&\u{1b}\n"), "&lt;a href=&quot;x&quot;&gt;&amp;?\n");
    }
}

//! Prometheus's text format, for figures that are read when they are asked for.

use std::fmt::{Display, Write};

/// Text that grows by one sample a line.
#[derive(Default)]
pub(super) struct Exposition(String);

impl Exposition {
    /// Goes on behind what there is.
    pub(super) fn after(text: String) -> Exposition {
        Exposition(text)
    }

    /// Begins a metric: `kind` is `counter`, `gauge` or `histogram`.
    pub(super) fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a `String` can't fail, here and below.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// One value of the metric that was begun last.
    pub(super) fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.0.push_str(name);
        let mut before = '{';
        for (label, text) in labels {
            let _ = write!(self.0, "{before}{label}=\"");
            text.chars().for_each(|c| self.escaped(c));
            self.0.push('"');
            before = ',';
        }
        if !labels.is_empty() {
            self.0.push('}');
        }
        let _ = writeln!(self.0, " {value}");
    }

    /// A metric with one value.
    pub(super) fn single(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }

    pub(super) fn into_text(self) -> String {
        self.0
    }

    fn escaped(&mut self, c: char) {
        match c {
            '\\' => self.0.push_str("\\\\"),
            '"' => self.0.push_str("\\\""),
            '\n' => self.0.push_str("\\n"),
            other => self.0.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_written_and_labels_escaped() {
        let mut out = Exposition::after("a 1\n".to_owned());
        out.single("b", "gauge", "Bees", 2.5);
        out.family("c", "counter", "Seas");
        out.sample("c", &[("x", "\"\\\n"), ("y", "")], 3);
        let expected = "a 1\n# HELP b Bees\n# TYPE b gauge\nb 2.5\n# HELP c Seas\n# TYPE c counter\n\
                        c{x=\"\\\"\\\\\\n\",y=\"\"} 3\n";
        assert_eq!(out.into_text(), expected);
    }
}

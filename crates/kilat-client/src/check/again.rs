//! The command that goes on where a check ended, as it can be copied into a shell.

/// `command` with `--resume` and without `--overwrite`, quoted for a POSIX shell.
pub(crate) fn resume_command(command: &[String]) -> String {
    let operands = command.iter().position(|word| word == "--").unwrap_or(command.len());
    let (flags, operands) = command.split_at(operands);
    let mut words: Vec<&str> = flags.iter().map(String::as_str).collect();
    words.retain(|word| !matches!(*word, "--overwrite" | "--resume"));
    let after = words.iter().position(|word| *word == "check").map_or(words.len(), |at| at + 1);
    words.insert(after, "--resume");
    words.extend(operands.iter().map(String::as_str));
    words.into_iter().map(quote).collect::<Vec<_>>().join(" ")
}

/// `command` as it is, quoted for a POSIX shell.
pub(crate) fn same_command(command: &[String]) -> String {
    command.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" ")
}

/// One word of a POSIX shell; `$'…'` where a control character must not reach the terminal.
pub(crate) fn quote(word: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || "-_./:=@,+%".contains(c);
    if !word.is_empty() && word.chars().all(is_bare) {
        return word.to_owned();
    }
    if word.contains(char::is_control) {
        let escaped: String = word.chars().map(in_ansi_c).collect();
        return format!("$'{escaped}'");
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

fn in_ansi_c(c: char) -> String {
    match c {
        '\\' => "\\\\".to_owned(),
        '\'' => "\\'".to_owned(),
        '\n' => "\\n".to_owned(),
        c if c.is_control() => {
            let mut bytes = [0; 4];
            c.encode_utf8(&mut bytes).bytes().map(|byte| format!("\\{byte:03o}")).collect()
        }
        c => c.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(command: &[&str], expected: &str) {
        let command: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
        assert_eq!(resume_command(&command), expected);
    }

    #[test]
    fn the_command_goes_on_and_erases_nothing() {
        check(&["kilat", "check", "stock"], "kilat check --resume stock");
        check(
            &["./kilat", "--lang", "id", "check", "stock", "--overwrite", "--log", "a b.jsonl"],
            "./kilat --lang id check --resume stock --log 'a b.jsonl'",
        );
        check(&["kilat", "check", "stock", "--resume", "A"], "kilat check --resume stock A");
        check(
            &["kilat", "check", "stock", "--", "--overwrite", "-x"],
            "kilat check --resume stock -- --overwrite -x",
        );
    }

    #[test]
    fn ids_of_any_kind_survive_the_shell() {
        let ids = ["it's", "$HOME `ls` \"x\" \\", "a\nb'c\\d\u{1b}\u{85}é", "", "🛒", "*", "~"];
        let command: Vec<String> =
            ["kilat", "check", "stock"].iter().chain(&ids).map(|word| (*word).to_owned()).collect();
        let script = format!("printf '%s\\0' {}", resume_command(&command));
        let output = std::process::Command::new("bash").args(["-c", &script]).output().unwrap();
        let words: Vec<&str> = std::str::from_utf8(&output.stdout)
            .unwrap()
            .trim_end_matches('\0')
            .split('\0')
            .collect();
        assert_eq!(words[..4], ["kilat", "check", "--resume", "stock"]);
        assert_eq!(words[4..], ids);
        assert!(!script.contains(|c: char| c.is_control()));
    }
}

//! The compose files: understood by docker-compose, and every container confined.

use super::{check_command, content, document, folder, read, text, texts};
use serde_json::{Map, Value, json};
use std::process::Command;

const FILES: [&str; 2] = ["compose/single.yaml", "compose/compose.yaml"];

/// Which containers use Kilat's own image.
fn is_kilat(service: &Value) -> bool {
    service["image"] == "kilat"
}

fn services(file: &Value) -> &Map<String, Value> {
    file["services"].as_object().unwrap()
}

/// docker-compose resolves a file only when the files with secrets are there.
#[test]
fn docker_compose_understands_the_files_once_there_are_secrets() {
    let place = tempfile::tempdir().unwrap();
    let copy = place.path().join("deploy");
    content(Command::new("cp").arg("-r").arg(folder()).arg(&copy));
    // The developer's own are left alone.
    let _ = std::fs::remove_dir_all(copy.join("secrets"));
    let config = |file: &str| {
        let mut command = Command::new("docker-compose");
        command.arg("-f").arg(copy.join(file)).args(["config", "--quiet"]);
        command
    };
    for file in FILES {
        assert!(!config(file).output().unwrap().status.success(), "{file} needs no secrets");
    }
    content(Command::new("sh").arg(copy.join("make-secrets.sh")));
    FILES.iter().for_each(|file| drop(content(&mut config(file))));
    let made = std::fs::read_to_string(copy.join("secrets/kilat.env")).unwrap();
    content(Command::new("sh").arg(copy.join("make-secrets.sh")));
    let again = std::fs::read_to_string(copy.join("secrets/kilat.env")).unwrap();
    assert_eq!(made, again, "secrets that are there stay");
    for line in made.lines() {
        let (name, value) = line.split_once('=').unwrap();
        assert!(name.starts_with("KILAT_") && value.len() == 64, "{line}");
    }
}

#[test]
fn every_container_is_confined_and_none_has_a_password_of_its_own() {
    for path in FILES {
        let file = document(path);
        for (name, service) in services(&file) {
            let at = format!("{path}: {name}: {service}");
            assert_eq!(service["read_only"], true, "{at}");
            assert_eq!(service["cap_drop"], json!(["ALL"]), "{at}");
            assert_eq!(service["security_opt"], json!(["no-new-privileges:true"]), "{at}");
            assert!(service.get("privileged").is_none() && service.get("cap_add").is_none());
            let image = text(&service["image"]);
            assert!(
                is_kilat(service) || image.contains(':') && !image.ends_with(":latest"),
                "{at}"
            );
            let secrets = service.get("env_file").map(texts);
            let is_guarded = secrets.is_some_and(|files| files[0].starts_with("../secrets/"));
            assert!(is_guarded || !is_kilat(service), "it would not start: {at}");
            let environment = service.get("environment").and_then(Value::as_object);
            for variable in environment.into_iter().flat_map(Map::keys) {
                let is_secret = ["TOKEN", "SECRET", "PASSWORD", "KEY"];
                assert!(!is_secret.iter().any(|word| variable.contains(word)), "{at}");
            }
        }
    }
}

#[test]
fn what_is_mounted_is_there_and_data_is_in_named_volumes() {
    for path in FILES {
        let file = document(path);
        let volumes = file["volumes"].as_object().unwrap();
        for (name, service) in services(&file) {
            let Some(mounts) = service.get("volumes") else { continue };
            for mount in texts(mounts) {
                let (from, to) = mount.split_once(':').unwrap();
                match from.strip_prefix("../") {
                    Some(file) => {
                        assert!(folder().join(file).exists(), "{path}: {name}: {mount}");
                        assert!(to.ends_with(":ro"), "{path}: {name}: {mount}");
                    }
                    None => assert!(volumes.contains_key(from), "{path}: {name}: {mount}"),
                }
            }
        }
        assert!(volumes.contains_key("kilat-data"), "{path}");
    }
}

#[test]
fn nothing_but_the_shop_and_grafana_is_open_and_only_to_this_machine() {
    for path in FILES {
        let file = document(path);
        let open = services(&file)
            .iter()
            .filter_map(|(name, service)| Some((name.as_str(), texts(service.get("ports")?))));
        let expected = [
            ("grafana", vec!["${KILAT_GRAFANA:-127.0.0.1:3000}:3000"]),
            ("nginx", vec!["${KILAT_HTTP:-127.0.0.1:80}:80"]),
        ];
        assert_eq!(open.collect::<Vec<_>>(), expected, "{path}");
    }
}

/// nginx looks names up when it starts, so it is given addresses: they must be those of the
/// replicas, and Prometheus must ask the same.
#[test]
fn nginx_and_prometheus_know_every_process_that_serves() {
    for (path, list_of) in [(FILES[0], "single"), (FILES[1], "replicas")] {
        let file = document(path);
        let serving = services(&file)
            .iter()
            .filter(|(_, service)| is_kilat(service) && service["command"][0] == "serve");
        // A core shows its figures where it shows its health.
        let cores = services(&file).iter().filter(|(_, service)| service["command"][0] == "core");
        let (mut servers, mut targets) = (Vec::new(), Vec::new());
        for (name, core) in cores {
            let address = texts(&core["command"])[4];
            targets.push(format!("{name}:{}", address.strip_prefix("0.0.0.0:").unwrap()));
        }
        for (name, service) in serving {
            let address = text(&service["networks"]["inside"]["ipv4_address"]);
            servers.push(format!("{address}:8080"));
            targets.push(format!("{name}:8080"));
        }
        let upstream = read(&format!("nginx/upstream.{list_of}.conf"));
        let known: Vec<&str> = upstream
            .lines()
            .filter_map(|line| line.strip_prefix("server ")?.split_whitespace().next())
            .collect();
        assert_eq!(known, servers, "{path}");
        let asked = document(&format!("prometheus/targets/{list_of}.yml"));
        assert_eq!(texts(&asked[0]["targets"]), targets, "{path}");
        let mounts = services(&file)["nginx"]["volumes"].to_string();
        assert!(mounts.contains(&format!("upstream.{list_of}.conf")), "{path}: {mounts}");
        let mounts = services(&file)["prometheus"]["volumes"].to_string();
        assert!(mounts.contains(&format!("targets/{list_of}.yml")), "{path}: {mounts}");
    }
}

#[test]
fn kilat_is_started_as_it_can_be_started() {
    for path in FILES {
        let file = document(path);
        let ours = services(&file).values().filter(|service| is_kilat(service));
        for service in ours {
            // An entry point of its own begins with the program.
            let own = service.get("entrypoint").map(|words| texts(words).split_off(1));
            let words = own.unwrap_or_else(|| texts(&service["command"]));
            check_command(&words.iter().map(|word| by_default(word)).collect::<Vec<_>>());
            for ledger in ledgers(path) {
                let with = words
                    .iter()
                    .map(|word| if *word == by_default(word) { word } else { &*ledger });
                check_command(&with.collect::<Vec<_>>());
            }
        }
    }
}

/// What compose makes of `${NAME:-default}` when there is no `NAME`.
fn by_default(word: &str) -> &str {
    let inner = word.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    inner.and_then(|inner| inner.split_once(":-")).map_or(word, |(_, default)| default)
}

/// The ledgers with which a file says that it can be brought up.
fn ledgers(path: &str) -> Vec<String> {
    let file = read(path);
    let words = file.split_whitespace().filter_map(|word| word.strip_prefix("KILAT_LEDGER="));
    words.map(str::to_owned).collect()
}

#[test]
fn a_file_names_the_ledgers_of_its_profiles() {
    assert_eq!(ledgers("compose/compose.yaml").len(), 2);
    assert_eq!(by_default("${KILAT_LEDGER:-core://core:7070}"), "core://core:7070");
}

#[test]
fn the_image_is_one_file_without_a_shell_or_a_user_that_may_do_more() {
    let dockerfile = read("Dockerfile");
    let (build, image) = dockerfile.split_once("FROM scratch\n").unwrap();
    assert!(build.contains("-C target-feature=+crt-static") && build.contains("--target"));
    let has = |line: &str| image.lines().any(|found| found.trim() == line);
    assert!(has("USER 65532:65532") && has(r#"ENTRYPOINT ["/kilat"]"#), "{image}");
    assert!(image.contains(r#"HEALTHCHECK"#) && image.contains(r#"CMD ["/kilat", "health"]"#));
    let command = image.lines().find_map(|line| line.strip_prefix("CMD ")).unwrap();
    let command: Value = serde_json::from_str(command).unwrap();
    check_command(&texts(&command));
    for word in ["TOKEN", "SECRET", "open-to-strangers"] {
        let settings = image.lines().filter(|line| !line.starts_with('#'));
        assert!(!settings.into_iter().any(|line| line.contains(word)), "{word}");
    }
    let after_copy = |text: &str| text.split_once("USER ").unwrap().1.to_owned();
    let prebuilt = read("prebuilt.Dockerfile");
    assert_eq!(after_copy(&prebuilt), after_copy(image), "both make the same image");
    assert!(prebuilt.contains("FROM scratch\nCOPY --chown=65532:65532 deploy/image /\n"));
    let ignored = std::fs::read_to_string(folder().join("../.dockerignore")).unwrap();
    assert!(ignored.lines().any(|line| line == "deploy/secrets"), "secrets stay out of images");
}

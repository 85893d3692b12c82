//! The manifests: no validator is at hand, so here is what must hold of them.

use super::{check_command, document, list, text, texts, yaml};
use kilat_server::ROUTES;
use serde_json::{Value, json};

const VARIANTS: [&str; 2] = ["kubernetes/single", "kubernetes/replicas"];

/// Every object of a variant, as its kustomization lists them.
fn objects(variant: &str) -> Vec<Value> {
    let kustomization = document(&format!("{variant}/kustomization.yaml"));
    let files = texts(&kustomization["resources"]).into_iter();
    files.flat_map(|file| yaml(&format!("{variant}/{file}"))).collect()
}

fn of_kind<'a>(objects: &'a [Value], kind: &'a str) -> impl Iterator<Item = &'a Value> {
    objects.iter().filter(move |object| object["kind"] == kind)
}

/// Whatever makes pods.
fn workloads(objects: &[Value]) -> Vec<&Value> {
    of_kind(objects, "Deployment").chain(of_kind(objects, "StatefulSet")).collect()
}

fn pod(workload: &Value) -> &Value {
    &workload["spec"]["template"]
}

fn container(workload: &Value) -> &Value {
    let containers = list(&pod(workload)["spec"]["containers"]);
    assert_eq!(containers.len(), 1);
    &containers[0]
}

/// Asks of every workload of every variant.
fn check(question: impl Fn(&Value, &str)) {
    for variant in VARIANTS {
        let objects = objects(variant);
        let workloads = workloads(&objects);
        assert!(!workloads.is_empty(), "{variant}");
        for workload in workloads {
            question(workload, &format!("{variant}: {}", workload["metadata"]["name"]));
        }
    }
}

#[test]
fn no_pod_may_do_more_than_it_needs() {
    check(|workload, at| {
        let spec = &pod(workload)["spec"];
        assert_eq!(spec["automountServiceAccountToken"], false, "{at}");
        // The variables of a service called kilat would be taken for settings.
        assert_eq!(spec["enableServiceLinks"], false, "{at}");
        let security = &spec["securityContext"];
        assert_eq!(security["runAsNonRoot"], true, "{at}");
        assert_eq!(security["runAsUser"], 65_532, "{at}");
        assert_eq!(security["seccompProfile"]["type"], "RuntimeDefault", "{at}");
        let security = &container(workload)["securityContext"];
        assert_eq!(security["allowPrivilegeEscalation"], false, "{at}");
        assert_eq!(security["readOnlyRootFilesystem"], true, "{at}");
        assert_eq!(security["capabilities"], json!({"drop": ["ALL"]}), "{at}");
        let resources = &container(workload)["resources"];
        for figure in [&resources["requests"]["cpu"], &resources["requests"]["memory"]] {
            assert!(figure.is_string(), "{at}: {resources}");
        }
        assert!(resources["limits"]["memory"].is_string(), "{at}");
        let secrets = container(workload)["envFrom"].clone();
        assert_eq!(secrets, json!([{"secretRef": {"name": "kilat"}}]), "{at}");
    });
}

#[test]
fn probes_ask_what_there_is() {
    check(|workload, at| {
        let container = container(workload);
        let ports: Vec<&str> =
            list(&container["ports"]).iter().map(|port| text(&port["name"])).collect();
        for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
            let asks = &container[probe];
            let call = asks.get("httpGet").or(asks.get("tcpSocket")).unwrap();
            assert!(ports.contains(&text(&call["port"])), "{at}: {probe}");
            if let Some(path) = call.get("path").map(text) {
                let is_it =
                    |route: &&kilat_server::Route| (route.method, route.path) == ("GET", path);
                assert!(ROUTES.iter().any(|route| is_it(&route)), "{at}: {probe}: {path}");
            }
        }
        if let Some(call) = container["livenessProbe"].get("httpGet") {
            assert_eq!(call["path"], "/livez", "a full disk is no reason to kill: {at}");
            assert_eq!(container["readinessProbe"]["httpGet"]["path"], "/readyz", "{at}");
        }
    });
}

#[test]
fn who_listens_is_who_is_asked() {
    for variant in VARIANTS {
        let objects = objects(variant);
        for workload in workloads(&objects) {
            let container = container(workload);
            let port = container["ports"][0]["containerPort"].to_string();
            let arguments = texts(&container["args"]);
            let listens = arguments.iter().position(|word| *word == "--listen").unwrap();
            assert!(arguments[listens + 1].ends_with(&format!(":{port}")), "{variant}");
            let labels = &pod(workload)["metadata"]["labels"];
            assert_eq!(&workload["spec"]["selector"]["matchLabels"], labels, "{variant}");
            let service = of_kind(&objects, "Service")
                .find(|service| service["spec"]["selector"] == *labels)
                .unwrap_or_else(|| panic!("{variant}: no service for {labels}"));
            let target = &service["spec"]["ports"][0]["targetPort"];
            assert_eq!(target, &container["ports"][0]["name"], "{variant}");
            if let Some(governed) = workload["spec"].get("serviceName") {
                assert_eq!(governed, &service["metadata"]["name"], "{variant}");
            }
        }
    }
}

#[test]
fn every_route_but_those_of_operators_has_a_way_in() {
    // Figures and probes are for the inside.
    let inside = ["/metrics", "/livez", "/readyz", "/healthz"];
    for variant in VARIANTS {
        let objects = objects(variant);
        let ingress = of_kind(&objects, "Ingress").next().unwrap();
        let paths = list(&ingress["spec"]["rules"][0]["http"]["paths"]);
        let leads = |route: &str| {
            paths.iter().any(|entry| {
                let path = text(&entry["path"]);
                let is_below = route.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'));
                route == path || (entry["pathType"] == "Prefix" && is_below)
            })
        };
        for route in ROUTES {
            assert_eq!(leads(route.path), !inside.contains(&route.path), "{}", route.path);
        }
        for entry in paths {
            let service = &entry["backend"]["service"];
            let is_it = |object: &Value| object["metadata"]["name"] == service["name"];
            assert!(of_kind(&objects, "Service").any(is_it), "{variant}: {entry}");
        }
    }
}

#[test]
fn nothing_is_reachable_unless_a_policy_says_so() {
    for variant in VARIANTS {
        let objects = objects(variant);
        let policies: Vec<&Value> = of_kind(&objects, "NetworkPolicy").collect();
        let closed = json!({"podSelector": {}, "policyTypes": ["Ingress", "Egress"]});
        assert!(policies.iter().any(|policy| policy["spec"] == closed), "{variant}");
        for workload in workloads(&objects) {
            let labels = &pod(workload)["metadata"]["labels"];
            let policy = policies
                .iter()
                .find(|policy| policy["spec"]["podSelector"]["matchLabels"] == *labels)
                .unwrap_or_else(|| panic!("{variant}: no policy for {labels}"));
            let open =
                list(&policy["spec"]["ingress"]).iter().map(|rule| &rule["ports"][0]["port"]);
            let ports = list(&container(workload)["ports"]).iter().map(|port| &port["name"]);
            assert_eq!(open.collect::<Vec<_>>(), ports.collect::<Vec<_>>(), "{variant}");
        }
    }
}

#[test]
fn replicas_outlive_maintenance_and_data_has_a_volume() {
    check(|workload, at| {
        let replicas = workload["spec"]["replicas"].as_u64().unwrap();
        let mounted = container(workload).get("volumeMounts").is_some();
        let claimed = workload["spec"].get("volumeClaimTemplates").is_some();
        let owns_data = texts(&container(workload)["args"]).contains(&"--data");
        assert_eq!((mounted, claimed), (owns_data, owns_data), "{at}");
        assert!(!owns_data || replicas == 1 && workload["kind"] == "StatefulSet", "{at}");
    });
    let objects = objects("kubernetes/replicas");
    for workload in of_kind(&objects, "Deployment") {
        let labels = &pod(workload)["metadata"]["labels"];
        let budget = of_kind(&objects, "PodDisruptionBudget")
            .find(|budget| budget["spec"]["selector"]["matchLabels"] == *labels)
            .unwrap();
        let least = budget["spec"]["minAvailable"].as_u64().unwrap();
        let replicas = workload["spec"]["replicas"].as_u64().unwrap();
        assert!(0 < least && least < replicas, "{budget}");
    }
}

#[test]
fn kilat_is_started_as_it_can_be_started() {
    check(|workload, _| check_command(&texts(&container(workload)["args"])));
}

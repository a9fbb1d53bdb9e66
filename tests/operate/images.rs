//! `docker/` and `examples/kubernetes/` without an engine and without a cluster: what is copied and
//! mounted exists, what is named is defined, every configuration passes `serin check`, and the
//! binary runs in a root folder with nothing but what the image has, read-only, as its user.

use crate::tools::{SERIN, must, read, root, serin};
use serde_json::Value;
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

const ENVIRONMENTS: [&str; 3] = ["development", "staging", "production"];

#[test]
fn what_the_dockerfile_copies_is_there_and_is_not_ignored() {
    let sources = copied_into_the_build();
    let ignored = read("docker/Dockerfile.dockerignore");
    for source in &sources {
        assert!(root().join(source).exists(), "{source} is copied and does not exist");
        assert!(ignored.contains(&format!("!{source}\n")), "{source} is copied and ignored");
    }
    let manifest = read("Cargo.toml");
    let members = manifest.split("members = [").nth(1).unwrap().split(']').next().unwrap();
    for member in members.split(',').map(|m| m.trim().trim_matches('"')) {
        assert!(sources.contains(member), "{member} is built and not copied");
    }
}

fn copied_into_the_build() -> BTreeSet<String> {
    let instructions = instructions();
    let copies = instructions.iter().filter_map(|line| line.strip_prefix("COPY "));
    copies
        .filter(|copy| !copy.starts_with("--from"))
        .flat_map(|copy| {
            let words: Vec<_> = copy.split_whitespace().map(str::to_owned).collect();
            words[..words.len() - 1].to_vec()
        })
        .collect()
}

/// Continued lines put together, comments left out.
fn instructions() -> Vec<String> {
    let text = read("docker/Dockerfile").replace("\\\n", " ");
    let kept = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    kept.map(str::to_owned).collect()
}

#[test]
fn the_image_runs_as_nobody_and_needs_no_shell() {
    let instructions = instructions();
    let last = instructions.iter().rposition(|line| line.starts_with("FROM ")).unwrap();
    let serin = &instructions[last..];
    assert!(serin[0].ends_with(" AS serin"), "{}", serin[0]);
    assert!(serin.iter().any(|line| line == "USER 65532:65532"));
    let with_arguments = serin
        .iter()
        .filter(|l| ["ENTRYPOINT", "CMD", "HEALTHCHECK"].iter().any(|w| l.starts_with(w)));
    for line in with_arguments {
        assert!(line.ends_with(']'), "needs a shell: {line}");
    }
    assert!(!serin.iter().any(|line| line.starts_with("RUN")), "distroless has no shell");
}

#[test]
fn compose_files_name_nothing_that_is_not_there() {
    let base = yaml("docker/compose.yaml");
    for environment in ENVIRONMENTS {
        let overlay = yaml(&format!("docker/compose.{environment}.yaml"));
        let services: BTreeSet<_> =
            keys(&base["services"]).chain(keys(&overlay["services"])).collect();
        let secrets: BTreeSet<_> = keys(&overlay["secrets"]).collect();
        for file in [&base, &overlay] {
            for (name, service) in file["services"].as_object().unwrap() {
                for mount in texts(&service["volumes"]) {
                    let from = mount.split(':').next().unwrap();
                    let there = match from.strip_prefix("./") {
                        Some(path) => root().join("docker").join(path).exists(),
                        None => base["volumes"].as_object().unwrap().contains_key(from),
                    };
                    assert!(there, "{environment}: {name} mounts {mount}");
                }
                for secret in texts(&service["secrets"]) {
                    assert!(secrets.contains(&secret), "{environment}: {name} has no {secret}");
                }
                let needs = texts(&service["depends_on"]).chain(keys(&service["depends_on"]));
                for other in needs {
                    assert!(services.contains(&other), "{environment}: {name} waits for {other}");
                }
            }
        }
    }
}

#[test]
fn every_environment_is_a_configuration_and_has_rules() {
    for environment in ENVIRONMENTS {
        let folder = assembled(environment);
        let path = folder.path().join("etc").display().to_string();
        let checked = serin(&["check", &path]);
        let told = String::from_utf8_lossy(&checked.stderr).into_owned();
        assert_eq!((checked.status.code(), told.as_str()), (Some(0), ""), "{environment}");
        assert_eq!(serin(&["export", "prometheus-rules", &path]).status.code(), Some(0));
    }
}

/// `/etc/serin` of an environment, with its secrets moved to where a test may write.
fn assembled(environment: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let (etc, secrets) = (folder.path().join("etc"), folder.path().join("secrets"));
    std::fs::create_dir(&etc).unwrap();
    secret_files(&secrets);
    let moved = |text: String| text.replace("/run/secrets", &secrets.display().to_string());
    let edge = moved(read(&format!("docker/serin/{environment}.yaml")));
    std::fs::write(etc.join("edge.yaml"), edge).unwrap();
    std::fs::write(etc.join("services.yaml"), read("docker/serin/services.yaml")).unwrap();
    folder
}

fn secret_files(folder: &Path) {
    std::fs::create_dir_all(folder.join("serin")).unwrap();
    let key = rcgen::generate_simple_self_signed(vec!["shop.example".to_owned()]).unwrap();
    for (name, text) in [
        ("serin-operator", "a-long-token-for-a-test".to_owned()),
        ("serin/operator", "a-long-token-for-a-test".to_owned()),
        ("shop-certificate", key.cert.pem()),
        ("shop-key", key.signing_key.serialize_pem()),
    ] {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
}

#[test]
fn the_config_map_is_a_configuration_and_its_mounts_are_what_it_names() {
    let text = read("examples/kubernetes/everything.yaml");
    let documents: Vec<Value> =
        text.split("\n---\n").map(|part| serde_saphyr::from_str(part).unwrap()).collect();
    let of = |kind: &str| documents.iter().find(|d| d["kind"] == kind).unwrap();
    let folder = tempfile::tempdir().unwrap();
    secret_files(&folder.path().join("secrets"));
    // As the kubelet lays it out: a dated folder, a link to it, and a link for each file.
    let dated = folder.path().join("config/..2026");
    std::fs::create_dir_all(&dated).unwrap();
    std::os::unix::fs::symlink("..2026", folder.path().join("config/..data")).unwrap();
    for (name, text) in of("ConfigMap")["data"].as_object().unwrap() {
        let secrets = folder.path().join("secrets").display().to_string();
        let text = text.as_str().unwrap().replace("/run/secrets", &secrets);
        std::fs::write(dated.join(name), text).unwrap();
        let link = folder.path().join("config").join(name);
        std::os::unix::fs::symlink(Path::new("..data").join(name), link).unwrap();
    }
    let checked = serin(&["check", &folder.path().join("config").display().to_string()]);
    assert_eq!(checked.status.code(), Some(0), "{}", String::from_utf8_lossy(&checked.stderr));

    let pod = &of("Deployment")["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    let volumes: BTreeSet<_> = names(&pod["volumes"]).collect();
    assert_eq!(names(&container["volumeMounts"]).collect::<BTreeSet<_>>(), volumes);
    let ports: BTreeSet<_> = names(&container["ports"]).collect();
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
        assert!(ports.contains(container[probe]["httpGet"]["port"].as_str().unwrap()), "{probe}");
    }
    assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
}

/// The root folder that the Dockerfile describes: the binary, the libraries of distroless/cc, the
/// configuration and the state. No shell, no /tmp, no time zones.
#[test]
fn the_binary_runs_read_only_as_the_user_of_the_image() {
    let able = Command::new("unshare").args(["--mount", "--net", "true"]).output();
    if !able.is_ok_and(|able| able.status.success()) {
        eprintln!("SKIPPED: the image's limits: this user may not unshare mounts and networks");
        return;
    }
    let image = rootfs();
    let script = root().join("tests/operate/image.sh");
    let told = must(Command::new("sh").arg(script).arg(image.path()));
    assert!(told.contains("healthy as 65532"), "{told}");
    let written =
        must(Command::new("find").arg(image.path()).args(["-user", "65532", "-type", "f"]));
    let state = image.path().join("var/lib/serin").display().to_string();
    assert!(written.contains("/var/lib/serin/lock"), "{written}");
    assert!(written.lines().all(|file| file.starts_with(&state)), "{written}");
}

/// Part of distroless, and of every machine on which these tests pass.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// What stands in for the shop.
const BACKEND: &str = r#"
version: 1
listeners: [ { name: shop, address: "0.0.0.0:9000" } ]
admin: { address: "127.0.0.1:9902" }
state: { dir: /var/lib/serin/backend }
routes: [ { name: shop, respond: { body: welcome } } ]
"#;

/// Every connector of the data plane reads them, so without them no thread could serve.
#[test]
fn without_certificate_authorities_it_refuses_to_start_and_says_what_to_install() {
    let folder = assembled("development");
    let mut run = Command::new(SERIN);
    run.arg("run").arg("--config").arg(folder.path().join("etc"));
    run.env("SSL_CERT_FILE", "/nowhere").env_remove("SSL_CERT_DIR");
    let refused = run.output().unwrap();
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{told}");
    assert!(told.contains("install ca-certificates"), "{told}");
    assert!(!told.contains("panicked"), "{told}");
}

fn rootfs() -> tempfile::TempDir {
    let image = tempfile::tempdir().unwrap();
    let at = |path: &str| image.path().join(path.trim_start_matches('/'));
    let copy = |from: &Path, to: &str| {
        std::fs::create_dir_all(at(to).parent().unwrap()).unwrap();
        std::fs::copy(from, at(to)).unwrap();
    };
    copy(Path::new(SERIN), "usr/bin/serin");
    for library in libraries() {
        copy(Path::new(&library), &library);
    }
    for (file, text) in [
        ("etc/hosts", "127.0.0.1 localhost shop-v1 shop-v2\n".to_owned()),
        ("etc/serin/edge.yaml", read("docker/serin/development.yaml")),
        ("etc/serin/services.yaml", read("docker/serin/services.yaml")),
        ("etc/backend.yaml", BACKEND.to_owned()),
    ] {
        std::fs::create_dir_all(at(file).parent().unwrap()).unwrap();
        std::fs::write(at(file), text).unwrap();
    }
    for folder in ["var/lib/serin", "run", "dev", "proc"] {
        std::fs::create_dir_all(at(folder)).unwrap();
    }
    secret_files(&at("run/secrets"));
    copy(Path::new(AUTHORITIES), AUTHORITIES);
    image
}

/// distroless/cc has these and no others that a Rust program would ask for.
fn libraries() -> Vec<String> {
    let listed = must(Command::new("ldd").arg(SERIN));
    let paths = listed.split_whitespace().filter(|word| word.starts_with('/'));
    let paths: Vec<String> = paths.map(str::to_owned).collect();
    for path in &paths {
        let known = ["libc.so", "libm.so", "libgcc_s.so", "ld-linux"];
        assert!(known.iter().any(|name| path.contains(name)), "{path} is not in distroless/cc");
    }
    paths
}

fn yaml(path: &str) -> Value {
    serde_saphyr::from_str(&read(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn keys(value: &Value) -> impl Iterator<Item = String> {
    value.as_object().into_iter().flat_map(|map| map.keys().cloned())
}

fn texts(value: &Value) -> impl Iterator<Item = String> {
    value.as_array().into_iter().flatten().filter_map(|v| v.as_str().map(str::to_owned))
}

fn names(value: &Value) -> impl Iterator<Item = String> {
    value.as_array().into_iter().flatten().filter_map(|v| v["name"].as_str().map(str::to_owned))
}

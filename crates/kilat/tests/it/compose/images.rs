//! Images from files of this machine.

use super::system::docker;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// An image under the name of another, which can't be fetched here.
struct StandIn {
    name: &'static str,
    /// As in the image that it stands for, so that the same files can be read and written.
    user: &'static str,
    /// The program that it starts, and what it is told besides compose's `command`.
    starts: &'static [&'static str],
    /// Folders that belong to the user.
    folders: &'static [&'static str],
    /// Folders of this machine that the program reads, in the same place.
    trees: &'static [&'static str],
    /// Files with their text, below the root.
    files: &'static [(&'static str, &'static str)],
    links: &'static [(&'static str, &'static str)],
    /// Whether health checks and the like need a shell's programs.
    with_busybox: bool,
}

const BUSYBOX: &str = "/bin/busybox";

/// What nginx's image has around the site.
const NGINX_CONFIGURATION: &str = "pid /tmp/nginx.pid;\n\
    error_log /dev/stderr notice;\n\
    events { worker_connections 4096; }\n\
    http {\n\
    client_body_temp_path /tmp/body; proxy_temp_path /tmp/proxy; fastcgi_temp_path /tmp/fastcgi;\n\
    uwsgi_temp_path /tmp/uwsgi; scgi_temp_path /tmp/scgi;\n\
    include /etc/nginx/conf.d/*.conf;\n\
    }\n";

/// What PostgreSQL's image does when it starts, as far as the file here asks for it.
const START_POSTGRES: &str = "set -e\n\
    export PATH=\"$(echo /usr/lib/postgresql/*/bin)\" PGDATA=/var/lib/postgresql/data\n\
    if [ ! -e $PGDATA/PG_VERSION ]; then\n\
    initdb --username=$POSTGRES_USER --auth=$POSTGRES_HOST_AUTH_METHOD --no-locale --encoding=UTF8\n\
    echo \"host all all all $POSTGRES_HOST_AUTH_METHOD\" >> $PGDATA/pg_hba.conf\n\
    echo \"CREATE DATABASE $POSTGRES_DB;\" | postgres --single -j postgres\n\
    fi\n\
    exec postgres -c listen_addresses='*' -c unix_socket_directories=/tmp\n";

const STAND_INS: &[StandIn] = &[
    StandIn {
        name: "nginxinc/nginx-unprivileged:1.28-alpine",
        user: "101",
        starts: &["nginx", "-e", "/dev/stderr", "-g", "daemon off;"],
        folders: &["var/log/nginx"],
        trees: &[],
        files: &[("etc/nginx/nginx.conf", NGINX_CONFIGURATION)],
        links: &[("bin/wget", "busybox"), ("var/log/nginx/access.log", "/dev/stdout")],
        with_busybox: true,
    },
    StandIn {
        name: "prom/prometheus:v3.7.3",
        user: "65534",
        starts: &["prometheus"],
        folders: &["prometheus"],
        trees: &[],
        files: &[],
        links: &[],
        with_busybox: false,
    },
    StandIn {
        name: "grafana/grafana:12.2.1",
        user: "472",
        starts: &["busybox", "httpd", "-f", "-p", "3000", "-h", "/var/lib/kilat-dashboards"],
        folders: &["var/lib/grafana"],
        trees: &[],
        files: &[],
        links: &[],
        with_busybox: true,
    },
    StandIn {
        name: "redis:7.2-alpine",
        user: "999",
        starts: &["redis-server"],
        folders: &["data"],
        trees: &[],
        files: &[("etc/passwd", "redis:x:999:999::/data:/sbin/nologin\n")],
        links: &[],
        with_busybox: false,
    },
    StandIn {
        name: "postgres:17-alpine",
        user: "70",
        starts: &["busybox", "sh", "/start"],
        folders: &["var/lib/postgresql/data", "var/run/postgresql"],
        trees: &["/usr/lib/postgresql", "/usr/share/postgresql"],
        files: &[("etc/passwd", "postgres:x:70:70::/:/bin/sh\n"), ("start", START_POSTGRES)],
        links: &[("bin/sh", "busybox")],
        with_busybox: true,
    },
];

/// Makes the stand-ins that the engine does not have yet.
pub(super) fn make_stand_ins() {
    for image in STAND_INS {
        let known = docker(&["image", "inspect", image.name]).output().unwrap();
        if !known.status.success() {
            make(image);
        }
    }
}

fn make(image: &StandIn) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let program = which(image.starts[0]);
    copy_program(&program, root);
    if image.with_busybox {
        copy_program(&which("busybox"), root);
        // Wherever this machine has it.
        let busybox = root.join(BUSYBOX.trim_start_matches('/'));
        std::fs::create_dir_all(busybox.parent().unwrap()).unwrap();
        std::fs::copy(which("busybox"), busybox).unwrap();
    }
    for path in image.folders {
        std::fs::create_dir_all(root.join(path)).unwrap();
    }
    for tree in image.trees {
        copy_tree(Path::new(tree), root);
    }
    // What is mounted there takes this mode over.
    let everybodys = Permissions::from_mode(0o1777);
    std::fs::create_dir_all(root.join("tmp")).unwrap();
    std::fs::set_permissions(root.join("tmp"), everybodys).unwrap();
    for (path, text) in image.files {
        std::fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
        std::fs::write(root.join(path), text).unwrap();
    }
    for (path, target) in image.links {
        std::os::unix::fs::symlink(target, root.join(path)).unwrap();
    }
    let starts = image.starts[1..].iter().map(|word| (*word).to_owned());
    let starts: Vec<String> = [program.display().to_string()].into_iter().chain(starts).collect();
    let (name, user) = (image.name, image.user);
    let changes = [format!("USER {user}"), format!("ENTRYPOINT {starts:?}")];
    import(root, name, &changes, user);
}

/// Makes an image of a folder, all of whose files belong to `user`.
fn import(root: &Path, name: &str, changes: &[String], user: &str) {
    let archive = tempfile::NamedTempFile::new().unwrap();
    let owner = [format!("--owner={user}"), format!("--group={user}")];
    let mut tar = Command::new("tar");
    tar.arg("-cf").arg(archive.path()).args(owner).arg("-C").arg(root).arg(".");
    succeed(&mut tar);
    let mut import = docker(&["import"]);
    for change in changes {
        import.args(["--change", change]);
    }
    succeed(import.arg(archive.path()).arg(name));
}

/// What `deploy/prebuilt.Dockerfile` takes for the image. The binary under test is not static:
/// what it loads stands beside it.
pub(super) fn put_kilat(folder: &Path) {
    let kilat = Path::new(env!("CARGO_BIN_EXE_kilat"));
    std::fs::create_dir_all(folder.join("data")).unwrap();
    succeed(Command::new("chmod").arg("0700").arg(folder.join("data")));
    succeed(Command::new("strip").arg("-o").arg(folder.join("kilat")).arg(kilat));
    libraries(kilat).iter().for_each(|library| copy(library, folder));
}

fn copy_program(program: &Path, root: &Path) {
    copy(program, root);
    libraries(program).iter().for_each(|library| copy(library, root));
}

/// A folder and what its programs load.
fn copy_tree(tree: &Path, root: &Path) {
    let to = root.join(tree.strip_prefix("/").unwrap());
    std::fs::create_dir_all(to.parent().unwrap()).unwrap();
    succeed(Command::new("cp").args(["-rL"]).arg(tree).arg(&to));
    let mut folders = vec![tree.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if ["postgres", "initdb"].iter().any(|name| path.ends_with(name)) {
                libraries(&path).iter().for_each(|library| copy(library, root));
            }
        }
    }
}

/// To the same place below `root`.
fn copy(file: &Path, root: &Path) {
    let to = root.join(file.strip_prefix("/").unwrap());
    std::fs::create_dir_all(to.parent().unwrap()).unwrap();
    std::fs::copy(file, &to).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
}

/// What a program loads when it starts, the loader included; none for a static one.
fn libraries(program: &Path) -> Vec<PathBuf> {
    let output = Command::new("ldd").arg(program).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.split_whitespace().filter(|word| word.starts_with('/')).map(PathBuf::from).collect()
}

fn which(program: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    let mut files = folders.map(|folder| folder.join(program)).filter(|file| file.is_file());
    files.next().unwrap_or_else(|| panic!("{program} is not installed"))
}

pub(super) fn succeed(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{said}{errors}", output.status);
    said
}

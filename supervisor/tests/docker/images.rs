//! The images of the tests, which are removed at their end.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Once, OnceLock};

use crate::docker::{DEBIAN, docker, raw_docker};

/// The images of the tests, built when first asked for and removed when the test binary ends.
pub struct Images;

impl Images {
    /// `FROM scratch`: /runmate and nothing else.
    pub fn scratch() -> &'static str {
        static IMAGE: OnceLock<String> = OnceLock::new();
        IMAGE.get_or_init(|| {
            let context = tempfile::tempdir().expect("a temporary directory");
            fs::copy(binary(), context.path().join("runmate")).expect("the binary under test can be copied");
            fs::write(
                context.path().join("Dockerfile"),
                "FROM scratch\nCOPY runmate /runmate\nENTRYPOINT [\"/runmate\", \"run\", \"--\"]\n",
            )
            .expect("a Dockerfile can be written");
            build("scratch", context.path(), &[])
        })
    }

    /// Debian with runmate as its entrypoint: a shell, perl and coreutils for small scenes.
    pub fn debian() -> &'static str {
        static IMAGE: OnceLock<String> = OnceLock::new();
        IMAGE.get_or_init(|| {
            let context = tempfile::tempdir().expect("a temporary directory");
            let dockerfile = format!(
                "FROM {} AS runmate\nFROM {DEBIAN}\nCOPY --from=runmate /runmate /usr/local/bin/runmate\n\
                 ENTRYPOINT [\"runmate\", \"run\", \"--\"]\n",
                Images::scratch()
            );
            fs::write(context.path().join("Dockerfile"), dockerfile).expect("a Dockerfile can be written");
            build("debian", context.path(), &[])
        })
    }

    /// The same with runmate as its health check, asked often.
    pub fn healthcheck() -> &'static str {
        static IMAGE: OnceLock<String> = OnceLock::new();
        IMAGE.get_or_init(|| {
            let context = tempfile::tempdir().expect("a temporary directory");
            let dockerfile = format!(
                "FROM {}\nHEALTHCHECK --interval=500ms --retries=2 CMD [\"runmate\", \"probe\"]\n",
                Images::debian()
            );
            fs::write(context.path().join("Dockerfile"), dockerfile).expect("a Dockerfile can be written");
            build("healthcheck", context.path(), &[])
        })
    }

    /// examples/nginx-gunicorn, by its own Dockerfile.
    pub fn example() -> &'static str {
        static IMAGE: OnceLock<String> = OnceLock::new();
        IMAGE.get_or_init(|| build_example("nginx-gunicorn"))
    }

    /// examples/telemetry, by its own Dockerfile.
    pub fn telemetry() -> &'static str {
        static IMAGE: OnceLock<String> = OnceLock::new();
        IMAGE.get_or_init(|| build_example("telemetry"))
    }
}

#[track_caller]
fn build_example(name: &str) -> String {
    let context = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../examples")
        .join(name);
    let runmate = format!("RUNMATE={}", Images::scratch());
    let base = format!("BASE={DEBIAN}");
    let args = ["--build-arg", &runmate, "--build-arg", &base];
    // The stage with the packages is kept, as Debian's image is: nothing in it is runmate's, and
    // the next run need not install them again.
    let system = format!("runmate-test/{name}-system");
    build_as(
        &context,
        &[&args[..], &["--target", "system", "-t", &system]].concat(),
    );
    build(name, &context, &args)
}

fn binary() -> PathBuf {
    // A relative path is meant from the workspace's root, where make and cargo are called; cargo runs
    // tests in the package's.
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let path = std::env::var_os("RUNMATE_BIN")
        .map_or_else(|| env!("CARGO_BIN_EXE_runmate").into(), |path| root.join(path));
    assert!(
        path.is_file(),
        "RUNMATE_BIN={} is no file: build it first",
        path.display()
    );
    path
}

fn image_name(what: &str) -> String {
    format!("runmate-test-{what}:{}", std::process::id())
}

#[track_caller]
fn build(what: &str, context: &Path, options: &[&str]) -> String {
    static AT_EXIT: Once = Once::new();
    AT_EXIT.call_once(|| {
        // SAFETY: the function takes nothing, returns nothing and does not unwind into C: it only runs
        // programs and ignores what becomes of them.
        unsafe { libc::atexit(remove_images) };
    });
    let image = image_name(what);
    build_as(context, &[options, &["-t", &image]].concat());
    image
}

#[track_caller]
fn build_as(context: &Path, options: &[&str]) {
    // The host's network: a package mirror that this machine reaches, the build reaches too.
    let args = ["build", "--network", "host", "--force-rm"];
    docker(&[&args[..], options, &[&context.to_string_lossy()]].concat());
}

/// libtest drops no statics.
extern "C" fn remove_images() {
    for what in ["telemetry", "nginx-gunicorn", "healthcheck", "debian", "scratch"] {
        let _ = std::panic::catch_unwind(|| raw_docker(&["rmi", &image_name(what)]));
    }
}

//! T14: what a server costs that has nothing to do, and how fast an empty one starts.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::bench::figure::{Figure, Target};
use crate::bench::kilat::{self, Place};
use crate::bench::scene::Scene;
use crate::process;

const MB: f64 = 1e6;
/// One tick of the kernel's clock in ten seconds is noise: 0 % to any reader.
const IDLE_PERCENT_MAX: f64 = 0.1;

/// T14.
pub(super) fn costs(scene: &Scene) -> Result<Vec<Figure>> {
    let mut figures = idle(scene)?;
    figures.extend(binary(scene)?);
    figures.push(starts(scene)?);
    Ok(figures)
}

fn idle(scene: &Scene) -> Result<Vec<Figure>> {
    let folder = scene.folder("t14")?;
    let place = Place { folder: folder.path(), core: None };
    let server = kilat::serve(scene, place)?;
    let seconds = scene.pick(10, 1);
    // The figure is stated for a server that has settled.
    thread::sleep(Duration::from_secs(seconds));
    let memory = server.memory()?;
    let before = server.cpu_time()?;
    thread::sleep(Duration::from_secs(seconds));
    let used = server.cpu_time()?.saturating_sub(before).as_secs_f64();
    Ok(vec![
        Figure::new("T14", "idle, resident memory, anonymous", "MB", vec![memory.anonymous / MB])
            .aims(Target::AtMost(30.0)),
        Figure::new(
            "T14",
            "idle, resident memory, files included",
            "MB",
            vec![memory.resident / MB],
        ),
        Figure::new("T14", "idle, processor", "%", vec![used / seconds as f64 * 100.0])
            .aims(Target::AtMost(IDLE_PERCENT_MAX))
            .noted(format!("over {seconds} s")),
    ])
}

fn binary(scene: &Scene) -> Result<Vec<Figure>> {
    let kilat = scene.kilat()?;
    let mut figures = vec![
        Figure::new("T14", "binary as built", "MB", vec![size_mb(kilat)?])
            .aims(Target::AtMost(25.0)),
    ];
    if let Ok(strip) = process::program("strip", ["--version"]).map(|_| "strip") {
        let folder = scene.folder("t14-strip")?;
        let stripped = folder.path().join("kilat");
        let arguments = ["-o", &stripped.to_string_lossy(), &kilat.to_string_lossy()];
        if process::succeeds(&process::program(strip, arguments)?)? {
            figures.push(Figure::new(
                "T14",
                "binary without symbols",
                "MB",
                vec![size_mb(&stripped)?],
            ));
        }
    }
    Ok(figures)
}

fn starts(scene: &Scene) -> Result<Figure> {
    let mut samples = Vec::new();
    for _ in 0..scene.pick(20, 3) {
        let folder = scene.folder("t14-start")?;
        let place = Place { folder: folder.path(), core: None };
        let started = Instant::now();
        let server = kilat::serve(scene, place)?;
        samples.push(started.elapsed().as_secs_f64() * 1e3);
        drop(server);
    }
    Ok(Figure::new("T14", "start to ready on an empty directory", "ms", samples)
        .aims(Target::AtMost(100.0)))
}

fn size_mb(file: &Path) -> Result<f64> {
    Ok(fs::metadata(file)?.len() as f64 / MB)
}

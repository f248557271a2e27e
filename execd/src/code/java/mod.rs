//! Java, run by the shell of the JDK.

/// The program that runs inside the virtual machine.
pub(crate) const DRIVER: &str = include_str!("Driver.java");

/// Arguments of `java`: the driver is compiled as it starts, which warms the compiler up for the first run. A context
/// waits most of the time, so that the smallest collector will do; the last option lets the driver reach its channel.
pub(crate) const ARGUMENTS: [&str; 8] = [
    "-Xshare:auto",
    "-XX:+UseSerialGC",
    "-XX:-UsePerfData",
    "-Dfile.encoding=UTF-8",
    "--add-opens=java.base/java.io=ALL-UNNAMED",
    "--source",
    "11",
    "/proc/self/fd/0",
];

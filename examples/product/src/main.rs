fn main() -> std::process::ExitCode {
    bootmigrate::main(bootmigrate::embedded!())
}

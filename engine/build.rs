//! On macOS the linker has to be told that an extension module's undefined symbols are fine: the interpreter that
//! imports it has them.

fn main() {
    pyo3_build_config::add_extension_module_link_args();
}

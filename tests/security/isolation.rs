//! No daemon reaches another group, Apache or root: descriptors, memory, secrets, signals, capabilities.

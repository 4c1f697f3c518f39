pub fn say() {}

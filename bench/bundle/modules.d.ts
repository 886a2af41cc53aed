/** Modules that exist only while the bundle is made. */
declare module "peer:tfjs-webgpu";
declare module "peer:jax";

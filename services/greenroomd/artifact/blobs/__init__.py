"""Where bytes are kept: backends that implement `ports.BlobStore`."""

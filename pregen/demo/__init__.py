"""`pregen demo`: a CA with many certificates, its responses signed, published, looked up and verified."""

from pregen.demo.tour import run_demo

__all__ = ["run_demo"]

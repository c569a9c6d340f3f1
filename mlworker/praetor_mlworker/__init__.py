"""The ML worker of praetor: trains LightGBM models for the engine over HTTP."""

"""Moving one blood sample's cells onto another's distribution with a residual network."""

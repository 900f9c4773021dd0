# Carillon QoS lync-kloud client
# Windows 8 and later, Windows Server 2012 and later. Windows 7 has no NetQos cmdlets.
$ErrorActionPreference = 'Stop'
Get-NetQosPolicy | Where-Object { $_.Name -like 'Carillon client *' } | Remove-NetQosPolicy -Confirm:$false
